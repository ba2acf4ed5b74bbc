//! A packet socket with a ring of blocks that the kernel fills (TPACKET_V3): the one file that says `unsafe`.
//!
//! It has to, because the system calls for it take pointers, and because the ring is memory that the kernel writes. What makes
//! it sound: the mapping lives as long as the ring and is given back by `Drop` alone; a block is read only between the moment
//! at which its status says it is ours (acquire) and the one at which we say it is the kernel's again (release); and every
//! offset the kernel wrote is checked against the block before anything is read there, so that even a broken kernel could
//! only show us wrong packets. (Linux, Documentation/networking/packet_mmap.rst; packet(7).)
//!
//! Needs CAP_NET_RAW and nothing else.
#![allow(unsafe_code)]

use super::block::{Frame, STATUS, show_all};
use super::filter::{self, Layer};
use std::ffi::{CString, c_int, c_void};
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Bytes of a block: room for hundreds of SIP messages, and for the largest packet many times over.
const BLOCK: usize = 1 << 20;
/// Blocks of a ring: 16 MiB last for a tenth of a second at 100,000 packets of 1.5 kB.
const BLOCKS: usize = 16;
/// A block that is not full is handed over after so many milliseconds.
const RETIRE_MILLIS: u32 = 20;

/// An open ring.
pub(super) struct Ring {
    socket: OwnedFd,
    memory: NonNull<u8>,
    /// The block that comes next.
    next: usize,
    layer: Layer,
    dropped: u64,
}

// SAFETY: the memory belongs to this value alone, which has no other thread's data in it.
unsafe impl Send for Ring {}

impl Ring {
    /// Opens a ring on an interface; only packets that may be SIP on these ports come in.
    pub fn open(interface: &str, ports: &[u16]) -> io::Result<Self> {
        let name = CString::new(interface)?;
        // SAFETY: the name ends with a zero.
        let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
        if index == 0 {
            return Err(io::Error::last_os_error());
        }
        // No protocol yet: nothing may come in before the filter stands.
        // SAFETY: plain numbers; the descriptor is ours from here on.
        let socket = unsafe {
            let fd = libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, 0);
            OwnedFd::from_raw_fd(checked(fd)?)
        };
        let index = c_int::try_from(index).map_err(io::Error::other)?;
        let layer = layer_of(&socket, index)?;
        set(&socket, libc::SOL_PACKET, libc::PACKET_VERSION, &(libc::tpacket_versions::TPACKET_V3 as c_int))?;
        let mut program: Vec<libc::sock_filter> = filter::program(layer, ports)
            .into_iter()
            .map(|one| libc::sock_filter { code: one.code, jt: one.jump_true, jf: one.jump_false, k: one.value })
            .collect();
        let length = u16::try_from(program.len()).map_err(io::Error::other)?;
        set(&socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &libc::sock_fprog { len: length, filter: program.as_mut_ptr() })?;
        let request = libc::tpacket_req3 {
            tp_block_size: BLOCK as u32,
            tp_block_nr: BLOCKS as u32,
            // Only checked for sense: blocks hold packets of any size.
            tp_frame_size: 2048,
            tp_frame_nr: (BLOCK / 2048 * BLOCKS) as u32,
            tp_retire_blk_tov: RETIRE_MILLIS,
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        set(&socket, libc::SOL_PACKET, libc::PACKET_RX_RING, &request)?;
        // SAFETY: a new mapping of the size that was just asked for, at an address of the kernel's choice.
        let memory = unsafe {
            libc::mmap(std::ptr::null_mut(), BLOCK * BLOCKS, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED, socket.as_raw_fd(), 0)
        };
        let memory = NonNull::new(memory.cast()).filter(|_| memory != libc::MAP_FAILED).ok_or_else(io::Error::last_os_error)?;
        let ring = Self { socket, memory, next: 0, layer, dropped: 0 };
        if layer == Layer::Ethernet {
            // The port of a mirror shows what is sent to others. It ends with the socket.
            let all = libc::packet_mreq { mr_ifindex: index, mr_type: libc::PACKET_MR_PROMISC as u16, mr_alen: 0, mr_address: [0; 8] };
            set(&ring.socket, libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &all)?;
        }
        bind(&ring.socket, index, libc::ETH_P_ALL)?;
        // That the interface is down is no error of `bind`, but one of the socket.
        match ring.error() {
            error if error.raw_os_error() == Some(0) => Ok(ring),
            error => Err(error),
        }
    }

    /// What packets begin with.
    pub const fn layer(&self) -> Layer {
        self.layer
    }

    /// Waits for a block, at most so long, and shows each packet in it; `false` when none came.
    pub fn read(&mut self, at_most: Duration, mut show: impl FnMut(Frame<'_>)) -> io::Result<bool> {
        let block = self.next;
        if self.status(block).load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
            self.wait(at_most)?;
            if self.status(block).load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
                return Ok(false);
            }
        }
        // SAFETY: the block lies within the mapping, and since its status says so it is ours: the kernel writes nothing there
        // until the status is given back below, behind the last use of these bytes.
        let bytes = unsafe { std::slice::from_raw_parts(self.memory.as_ptr().add(block * BLOCK), BLOCK) };
        show_all(bytes, &mut show);
        self.status(block).store(libc::TP_STATUS_KERNEL, Ordering::Release);
        self.next = (block + 1) % BLOCKS;
        Ok(true)
    }

    /// Packets that the kernel dropped since the ring was opened, because no block was free.
    pub fn dropped(&mut self) -> io::Result<u64> {
        // SAFETY: a structure of numbers, all of which may be zero.
        let mut found: libc::tpacket_stats_v3 = unsafe { zeroed() };
        let mut length = size_of::<libc::tpacket_stats_v3>() as libc::socklen_t;
        // SAFETY: the kernel writes at most `length` bytes to `found`.
        checked(unsafe {
            let to = std::ptr::from_mut(&mut found).cast::<c_void>();
            libc::getsockopt(self.socket.as_raw_fd(), libc::SOL_PACKET, libc::PACKET_STATISTICS, to, &raw mut length)
        })?;
        // The kernel counts from zero again each time it is asked.
        self.dropped += u64::from(found.tp_drops);
        Ok(self.dropped)
    }

    /// The word of a block that says whose it is.
    fn status(&self, block: usize) -> &AtomicU32 {
        let place = block % BLOCKS * BLOCK + STATUS;
        // SAFETY: within the mapping, aligned as blocks are, and used by both sides as one atomic word.
        unsafe { AtomicU32::from_ptr(self.memory.as_ptr().add(place).cast()) }
    }

    fn wait(&self, at_most: Duration) -> io::Result<()> {
        let mut poll = libc::pollfd { fd: self.socket.as_raw_fd(), events: libc::POLLIN | libc::POLLERR, revents: 0 };
        let millis = c_int::try_from(at_most.as_millis().max(1)).unwrap_or(c_int::MAX);
        // SAFETY: one structure, as the number says.
        match checked(unsafe { libc::poll(&raw mut poll, 1, millis) }) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
            Ok(_) if poll.revents & libc::POLLERR != 0 => Err(self.error()),
            Ok(_) => Ok(()),
        }
    }

    /// What is wrong with the socket: that its interface went down, say.
    fn error(&self) -> io::Error {
        let mut code: c_int = 0;
        let mut length = size_of::<c_int>() as libc::socklen_t;
        // SAFETY: the kernel writes one number.
        let asked = checked(unsafe {
            let to = std::ptr::from_mut(&mut code).cast::<c_void>();
            libc::getsockopt(self.socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_ERROR, to, &raw mut length)
        });
        asked.map_or_else(|error| error, |_| io::Error::from_raw_os_error(code))
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: the whole of the mapping that `open` made, of which no reference is left.
        unsafe {
            libc::munmap(self.memory.as_ptr().cast(), BLOCK * BLOCKS);
        }
    }
}

/// What packets of an interface begin with: the socket is bound without a protocol, and asked.
fn layer_of(socket: &OwnedFd, index: c_int) -> io::Result<Layer> {
    bind(socket, index, 0)?;
    // SAFETY: a structure of numbers, all of which may be zero.
    let mut address: libc::sockaddr_ll = unsafe { zeroed() };
    let mut length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes to `address`.
    checked(unsafe { libc::getsockname(socket.as_raw_fd(), std::ptr::from_mut(&mut address).cast(), &raw mut length) })?;
    match address.sll_hatype {
        libc::ARPHRD_ETHER => Ok(Layer::Ethernet),
        libc::ARPHRD_LOOPBACK => Ok(Layer::Loopback),
        libc::ARPHRD_NONE | libc::ARPHRD_PPP | libc::ARPHRD_TUNNEL | libc::ARPHRD_TUNNEL6 => Ok(Layer::Raw),
        other => Err(io::Error::other(format!("its hardware type is {other}; Ethernet, loopback, PPP and IP tunnels are read"))),
    }
}

fn bind(socket: &OwnedFd, index: c_int, protocol: c_int) -> io::Result<()> {
    // SAFETY: a structure of numbers, all of which may be zero.
    let mut address: libc::sockaddr_ll = unsafe { zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (protocol as u16).to_be();
    address.sll_ifindex = index;
    let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the address is as long as told.
    checked(unsafe { libc::bind(socket.as_raw_fd(), std::ptr::from_ref(&address).cast(), length) }).map(drop)
}

fn set<T>(socket: &OwnedFd, level: c_int, option: c_int, value: &T) -> io::Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    // SAFETY: the value is as long as told, and the kernel only reads it.
    checked(unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, std::ptr::from_ref(value).cast(), length) }).map(drop)
}

fn checked(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
