//! The words of the language.

macro_rules! keywords {
    ($($name:ident $text:literal $dialects:ident;)*) => {
        /// A word of some dialect.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum Keyword { $($name),* }

        const TABLE: &[(Keyword, &str, Reserved)] = &[$((Keyword::$name, $text, Reserved::$dialects)),*];
    };
}

/// Where a word cannot be a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reserved {
    /// In every dialect: never a name.
    All,
    /// In some dialects only. Where the grammar asks for a name it is one, since files of the other dialects
    /// use the word as a name.
    Some,
    /// As `Some`, and only in this spelling; all others are matched in any case.
    Exact,
}

keywords! {
    Subsystem "subsystem" All;
    KernelUser "kerneluser" All;
    KernelServer "kernelserver" All;
    Kernel "kernel" Some;
    WaitTime "waittime" All;
    NoWaitTime "nowaittime" All;
    SendTime "sendtime" Some;
    NoSendTime "nosendtime" Some;
    MsgOption "msgoption" All;
    MsgType "msgtype" Some;
    MsgKind "msgkind" Some;
    ServerPrefix "serverprefix" All;
    UserPrefix "userprefix" All;
    ServerDemux "serverdemux" All;
    Error "error" Some;
    UseSpecialReplyPort "usespecialreplyport" Some;
    ConsumeOnSendError "consumeonsenderror" Some;
    UserTypeLimit "UserTypeLimit" Exact;
    OnStackLimit "OnStackLimit" Exact;
    Type "type" All;
    Routine "routine" All;
    SimpleRoutine "simpleroutine" All;
    Procedure "procedure" Some;
    SimpleProcedure "simpleprocedure" Some;
    Function "function" Some;
    Skip "skip" All;
    Import "import" All;
    UImport "uimport" All;
    SImport "simport" All;
    IImport "iimport" Some;
    DImport "dimport" Some;
    RcsId "rcsid" All;
    InTran "intran" All;
    OutTran "outtran" All;
    Destructor "destructor" All;
    InTranPayload "intranpayload" Some;
    CType "ctype" All;
    CUserType "cusertype" All;
    CServerType "cservertype" All;
    Array "array" All;
    Of "of" All;
    Struct "struct" All;
    CString "c_string" All;
    Polymorphic "polymorphic" All;
    PointerTo "PointerTo" Exact;
    PointerToIfNot "PointerToIfNot" Exact;
    ValueOf "ValueOf" Exact;
    In "in" All;
    Out "out" All;
    InOut "inout" All;
    RequestPort "requestport" All;
    ReplyPort "replyport" All;
    SReplyPort "sreplyport" All;
    UReplyPort "ureplyport" All;
    MsgSeqno "msgseqno" All;
    SecToken "sectoken" Some;
    ServerSecToken "serversectoken" Some;
    UserSecToken "usersectoken" Some;
    AuditToken "audittoken" Some;
    ServerAuditToken "serveraudittoken" Some;
    UserAuditToken "useraudittoken" Some;
    ServerContextToken "servercontexttoken" Some;
    ServerImpl "serverimpl" Some;
    UserImpl "userimpl" Some;
    IsLong "islong" Some;
    IsNotLong "isnotlong" Some;
    Dealloc "dealloc" All;
    NotDealloc "notdealloc" All;
    ServerCopy "servercopy" Some;
    CountInOut "countinout" All;
    RetCode "retcode" Some;
    SameCount "samecount" Some;
    PhysicalCopy "physicalcopy" Some;
    Overwrite "overwrite" Some;
    Auto "auto" Some;
    Const "const" Some;
}

/// For each letter, a bit for each length that a keyword with this initial has.
const LENGTHS: [u32; 26] = {
    let mut lengths = [0; 26];
    let mut index = 0;
    while index < TABLE.len() {
        let text = TABLE[index].1.as_bytes();
        lengths[(text[0].to_ascii_lowercase() - b'a') as usize] |= 1 << text.len();
        index += 1;
    }
    lengths
};

impl Keyword {
    /// The keyword that `word` is.
    pub(crate) fn of(word: &str) -> Option<Self> {
        // This is called once for each name of a file, for which making a map would cost more than it saves.
        // Most names differ from all keywords in their initial or their length, which the table above tells.
        let initial = word.bytes().next()?.to_ascii_lowercase();
        let lengths = LENGTHS.get(usize::from(initial.checked_sub(b'a')?))?;
        if word.len() >= 32 || lengths & (1 << word.len()) == 0 {
            return None;
        }
        let found = TABLE.iter().find(|(_, text, _)| text.eq_ignore_ascii_case(word));
        let (keyword, text, reserved) = *found?;
        (reserved != Reserved::Exact || text == word).then_some(keyword)
    }

    /// Every keyword.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|(keyword, ..)| *keyword)
    }

    /// The usual spelling.
    pub(crate) fn text(self) -> &'static str {
        TABLE[self as usize].1
    }

    /// Whether no dialect lets it be a name.
    pub(crate) fn is_reserved(self) -> bool {
        TABLE[self as usize].2 == Reserved::All
    }

    /// Whether a file name follows.
    pub(crate) fn is_import(self) -> bool {
        matches!(self, Self::Import | Self::UImport | Self::SImport | Self::IImport | Self::DImport)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_any_case_unless_exact() {
        assert_eq!(Keyword::of("SubSystem"), Some(Keyword::Subsystem));
        assert_eq!(Keyword::of("routines"), None);
        assert_eq!(Keyword::of("PointerTo"), Some(Keyword::PointerTo));
        assert_eq!(Keyword::of("pointerto"), None);
    }

    #[test]
    fn table_is_in_the_order_of_the_enumeration() {
        for (index, (keyword, ..)) in TABLE.iter().enumerate() {
            assert_eq!(*keyword as usize, index);
        }
    }
}
