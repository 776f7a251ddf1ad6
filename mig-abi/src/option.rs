//! The options of `mach_msg`.

/// A bit of `mach_msg_option_t`, with its name in `mach/message.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsgOption {
    /// Its name.
    pub name: &'static str,
    /// Its bits; 0 where a header has the name without a meaning.
    pub bits: u32,
}

impl MsgOption {
    /// Send a message.
    pub const SEND_MSG: Self = Self::new("MACH_SEND_MSG", 0x1);
    /// Receive a message.
    pub const RCV_MSG: Self = Self::new("MACH_RCV_MSG", 0x2);
    /// The send ends after a time.
    pub const SEND_TIMEOUT: Self = Self::new("MACH_SEND_TIMEOUT", 0x10);
    /// The receive ends after a time.
    pub const RCV_TIMEOUT: Self = Self::new("MACH_RCV_TIMEOUT", 0x100);
    /// A message that is too large stays in its queue, in CMU's Mach and in GNU Mach.
    pub const RCV_LARGE_OF_MACH3: Self = Self::new("MACH_RCV_LARGE", 0x800);
    /// The same in OSF's and Apple's headers.
    pub const RCV_LARGE: Self = Self::new("MACH_RCV_LARGE", 0x4);

    /// Options that have the same bits in every `mach/message.h`. A dialect has them besides its own, which
    /// are [`MACH3`](Self::MACH3), [`OSF`](Self::OSF) or [`APPLE`](Self::APPLE).
    pub const EVERYWHERE: &'static [Self] = &[
        Self::new("MACH_MSG_OPTION_NONE", 0),
        Self::SEND_MSG,
        Self::RCV_MSG,
        Self::SEND_TIMEOUT,
        Self::new("MACH_SEND_INTERRUPT", 0x40),
        Self::RCV_TIMEOUT,
        Self::new("MACH_RCV_INTERRUPT", 0x400),
        Self::new("MACH_SEND_ALWAYS", 0x1_0000),
    ];

    /// The further options of CMU's Mach 3 and of GNU Mach.
    pub const MACH3: &'static [Self] = &[
        Self::new("MACH_SEND_NOTIFY", 0x20),
        Self::new("MACH_SEND_CANCEL", 0x80),
        Self::new("MACH_RCV_NOTIFY", 0x200),
        Self::RCV_LARGE_OF_MACH3,
    ];

    /// The options of Mach 2.5, whose names have no prefix.
    pub const MACH25: &'static [Self] = &[
        Self::new("MSG_OPTION_NONE", 0),
        Self::new("SEND_TIMEOUT", 0x1),
        Self::new("SEND_NOTIFY", 0x2),
        Self::new("SEND_INTERRUPT", 0x4),
        Self::new("SEND_ALWAYS", 0x8),
        Self::new("SEND_SWITCH", 0x20),
        Self::new("RCV_TIMEOUT", 0x100),
        Self::new("RCV_NO_SENDERS", 0x200),
        Self::new("RCV_INTERRUPT", 0x400),
    ];

    /// The further options of OSF Mach.
    pub const OSF: &'static [Self] = &[
        Self::RCV_LARGE,
        Self::new("MACH_SEND_CANCEL", 0x80),
        Self::new("MACH_RCV_NOTIFY", 0x200),
        Self::new("MACH_RCV_OVERWRITE", 0x1000),
        Self::new("MACH_SEND_TRAILER", 0x2_0000),
    ];

    /// The further options of Apple's kernels.
    pub const APPLE: &'static [Self] = &[
        Self::RCV_LARGE,
        Self::new("MACH_RCV_LARGE_IDENTITY", 0x8),
        Self::new("MACH_SEND_OVERRIDE", 0x20),
        Self::new("MACH_SEND_NOTIFY", 0x80),
        Self::new("MACH_MSG_STRICT_REPLY", 0x200),
        Self::new("MACH_RCV_NOTIFY", 0),
        Self::new("MACH_RCV_VOUCHER", 0x800),
        Self::new("MACH_RCV_OVERWRITE", 0),
        Self::new("MACH_RCV_GUARDED_DESC", 0x1000),
        Self::new("MACH_RCV_SYNC_WAIT", 0x4000),
        Self::new("MACH_RCV_SYNC_PEEK", 0x8000),
        Self::new("MACH_SEND_FILTER_NONFATAL", 0x1_0000),
        Self::new("MACH_SEND_TRAILER", 0x2_0000),
        Self::new("MACH_SEND_NOIMPORTANCE", 0x4_0000),
        Self::new("MACH_SEND_NODENAP", 0x4_0000),
        Self::new("MACH_SEND_IMPORTANCE", 0x8_0000),
        Self::new("MACH_SEND_SYNC_OVERRIDE", 0x10_0000),
        Self::new("MACH_SEND_PROPAGATE_QOS", 0x20_0000),
        Self::new("MACH_SEND_SYNC_USE_THRPRI", 0x20_0000),
        Self::new("MACH_SEND_KERNEL", 0x40_0000),
        Self::new("MACH_SEND_SYNC_BOOTSTRAP_CHECKIN", 0x80_0000),
    ];

    const fn new(name: &'static str, bits: u32) -> Self {
        Self { name, bits }
    }
}
