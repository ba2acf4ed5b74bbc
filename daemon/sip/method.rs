//! Request methods, as far as a meter tells them apart (RFC 3261, 3262, 3311, 3515, 3903, 6086, 6665, 3428).

/// A request method. Names are case-sensitive (RFC 3261 §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Sets a call up, or changes one that runs.
    Invite,
    /// Closes an INVITE.
    Ack,
    /// Ends a call.
    Bye,
    /// Gives an INVITE up.
    Cancel,
    /// Changes a call, also before its answer.
    Update,
    /// Passes a call on.
    Refer,
    /// Mid-call information. Changes nothing, but a 408 or 481 to it ends the dialog.
    Info,
    /// OPTIONS, NOTIFY, SUBSCRIBE, MESSAGE, PRACK and methods unknown here: in a dialog a sign of life, outside it nothing.
    Passing,
    /// REGISTER and PUBLISH: never part of a call.
    Foreign,
}

impl Method {
    /// The method of this name.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Self {
        match name {
            b"INVITE" => Self::Invite,
            b"ACK" => Self::Ack,
            b"BYE" => Self::Bye,
            b"CANCEL" => Self::Cancel,
            b"UPDATE" => Self::Update,
            b"REFER" => Self::Refer,
            b"INFO" => Self::Info,
            b"REGISTER" | b"PUBLISH" => Self::Foreign,
            _ => Self::Passing,
        }
    }

    /// Whether the method can only concern a call inside a dialog, so that a request without To tag concerns none.
    #[must_use]
    pub const fn needs_dialog(self) -> bool {
        match self {
            Self::Info | Self::Passing | Self::Foreign => true,
            Self::Invite | Self::Ack | Self::Bye | Self::Cancel | Self::Update | Self::Refer => false,
        }
    }
}
