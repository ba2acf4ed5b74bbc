//! Real peers: SIPp's callers and desks call through a real switch while the daemon watches, and the ledger must say what
//! SIPp's own logs say.

mod asterisk;
mod calls;
mod kamailio;
mod relay;
mod script;
mod sipp;
mod through_asterisk;
mod through_capture;
mod through_kamailio;
