//! What the keywords of arguments mean.

use mig_parser::ast::{Argument, Direction};

use crate::model::{Role, TrailerField};

/// What an argument with this keyword is for; `None` if it names a field that no trailer has.
pub(super) fn role(argument: &Argument, direction: Direction) -> Option<Role> {
    use TrailerField::{Audit, Context, Sender, Seqno};
    Some(match direction {
        Direction::In => Role::In,
        Direction::Out => Role::Out,
        Direction::InOut => Role::InOut,
        Direction::RequestPort => Role::RequestPort,
        Direction::ReplyPort => Role::ReplyPort { client: true, server: true },
        Direction::UReplyPort => Role::ReplyPort { client: true, server: false },
        Direction::SReplyPort => Role::ReplyPort { client: false, server: true },
        Direction::WaitTime => Role::WaitTime,
        Direction::SendTime => Role::SendTime,
        // `msgtype` and `msgkind` name fields of older headers. Such arguments are left out later; until then
        // they are checked as options, which have the same type.
        Direction::MsgOption | Direction::MsgType | Direction::MsgKind => Role::MsgOption,
        Direction::MsgSeqno => at_server(Seqno),
        Direction::SecToken => at_both(Sender),
        Direction::ServerSecToken => at_server(Sender),
        Direction::UserSecToken => at_client(Sender),
        Direction::AuditToken => at_both(Audit),
        Direction::ServerAuditToken => at_server(Audit),
        Direction::UserAuditToken => at_client(Audit),
        Direction::ServerContextToken => at_server(Context),
        Direction::ServerImpl => at_server(named(argument)?),
        Direction::UserImpl => at_client(named(argument)?),
    })
}

/// `serverimpl` and `userimpl` call an argument like the field that they want.
fn named(argument: &Argument) -> Option<TrailerField> {
    TrailerField::by_name(&argument.name.name)
}

fn at_server(field: TrailerField) -> Role {
    Role::Trailer { field, client: false, server: true }
}

fn at_client(field: TrailerField) -> Role {
    Role::Trailer { field, client: true, server: false }
}

fn at_both(field: TrailerField) -> Role {
    Role::Trailer { field, client: true, server: true }
}
