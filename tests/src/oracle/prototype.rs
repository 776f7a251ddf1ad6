//! Reads the function prototypes in the headers that migcom writes, which all have one form.

/// A function of a generated header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prototype {
    /// What it returns.
    pub result: String,
    /// Its C name.
    pub name: String,
    /// Its parameters in order.
    pub parameters: Vec<Parameter>,
}

/// A parameter of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its C type.
    pub ty: String,
    /// Its name.
    pub name: String,
}

/// The prototypes in a generated header.
///
/// # Errors
///
/// The text that has another form.
pub fn parse(header: &str) -> Result<Vec<Prototype>, String> {
    let header = without_comments(header);
    let mut found = Vec::new();
    for chunk in header.split("extern\n#endif\n").skip(1) {
        let (function, _) =
            chunk.split_once(");").ok_or_else(|| format!("no end of a prototype: {chunk}"))?;
        found.push(function_of(function).ok_or_else(|| format!("not a prototype: {function}"))?);
    }
    Ok(found)
}

/// The demux function that generated server stubs define.
///
/// # Errors
///
/// If there is none.
pub(super) fn demux(server: &str) -> Result<String, String> {
    let server = without_comments(server);
    // The stubs have the same parameters, and return nothing.
    let heads = server.match_indices("(mach_msg_header_t *InHeadP").map(|(at, _)| server[..at].trim_end());
    let words = heads.map(|head| {
        let mut words = head.rsplit(|c: char| !is_word(c)).filter(|word| !word.is_empty());
        (words.next().unwrap_or_default(), words.next().unwrap_or_default())
    });
    let found = words.into_iter().find(|(_, result)| *result == "boolean_t");
    found.map(|(name, _)| name.to_string()).ok_or_else(|| "no demux function".to_string())
}

fn function_of(text: &str) -> Option<Prototype> {
    let (head, parameters) = text.split_once('(')?;
    let head = parameter(head)?;
    let parameters = match parameters.trim() {
        "" | "void" => Vec::new(),
        list => list.split(',').map(parameter).collect::<Option<_>>()?,
    };
    Some(Prototype { result: head.ty, name: head.name, parameters })
}

/// `type name`, `type *name` or `type name[N]`.
fn parameter(text: &str) -> Option<Parameter> {
    let text = text.trim();
    let (text, array) = match text.split_once('[') {
        Some((front, _)) => (front.trim_end(), true),
        None => (text, false),
    };
    let start = text.rfind(|c: char| !is_word(c))? + 1;
    let ty = text[..start].split_whitespace().collect::<Vec<_>>().join(" ");
    Some(Parameter { ty: if array { format!("{ty} *") } else { ty }, name: text[start..].to_string() })
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn without_comments(text: &str) -> String {
    let mut rest = text;
    let mut out = String::new();
    while let Some((before, comment)) = rest.split_once("/*") {
        out.push_str(before);
        rest = comment.split_once("*/").map_or("", |(_, after)| after);
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prototype_is_read() {
        let header = "/* Routine f */\n#ifdef	mig_external\nmig_external\n#else\nextern\n#endif\n\
            kern_return_t f\n(\n\tmach_port_t port,\n\tchar *text /* max of 4 elements */,\n\tint v[3]\n);\n";
        let found = parse(header).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].result.as_str(), found[0].name.as_str()), ("kern_return_t", "f"));
        let parameters: Vec<(&str, &str)> =
            found[0].parameters.iter().map(|p| (p.ty.as_str(), p.name.as_str())).collect();
        assert_eq!(parameters, [("mach_port_t", "port"), ("char *", "text"), ("int *", "v")]);
    }
}
