//! The C between the shim and the stubs of one interface: a function for each prototype, that moves values
//! and nothing else.

use std::fmt::Write as _;

use super::prototype::Prototype;

const HEAD: &str = "#include \"shim.h\"\n#include <stdint.h>\n";

/// A driver of client stubs.
pub(super) fn client(stubs: &[Prototype]) -> String {
    let mut text = format!("{HEAD}#include \"user.h\"\n\n");
    for (index, stub) in stubs.iter().enumerate() {
        call(&mut text, index, stub);
    }
    text.push_str("const struct call calls[] = {\n");
    for (index, stub) in stubs.iter().enumerate() {
        let _ = writeln!(text, "\t{{\"{}\", call_{index}, parameters_{index}}},", stub.name);
    }
    text.push_str("\t{0}\n};\n\nint demux(void *request, void *reply)\n{\n\treturn -1;\n}\n");
    text
}

/// Takes the arguments, calls the stub, gives the arguments back as they are then.
fn call(text: &mut String, index: usize, stub: &Prototype) {
    let _ = writeln!(text, "static const struct parameter parameters_{index}[] = {{");
    for parameter in &stub.parameters {
        let _ = writeln!(text, "\t{{\"{}\", sizeof ({})}},", parameter.name, parameter.ty);
    }
    let _ = writeln!(text, "\t{{0}}\n}};\n\nstatic void call_{index}(void)\n{{");
    for parameter in &stub.parameters {
        let _ = writeln!(text, "\t{} {};", parameter.ty, parameter.name);
    }
    text.push('\n');
    for parameter in &stub.parameters {
        let _ = writeln!(text, "\ttake(&{0}, sizeof {0});", parameter.name);
    }
    text.push_str("\tfill_stack();\n");
    let arguments =
        stub.parameters.iter().map(|parameter| parameter.name.as_str()).collect::<Vec<_>>().join(", ");
    if stub.result == "void" {
        let _ = writeln!(text, "\t(*&{})({arguments});\n\tfinish(0);", stub.name);
    } else {
        let _ = writeln!(text, "\tfinish((*&{})({arguments}));", stub.name);
    }
    for parameter in &stub.parameters {
        let _ = writeln!(text, "\tgive(&{0}, sizeof {0});", parameter.name);
    }
    text.push_str("}\n\n");
}

/// A driver of server stubs: the functions that they call tell of the call, and return what they are told.
pub(super) fn server(functions: &[Prototype], demux: &str) -> String {
    let mut text = format!("{HEAD}#include \"server.h\"\n\n");
    for function in functions {
        let parameters =
            function.parameters.iter().map(|p| format!("{} {}", p.ty, p.name)).collect::<Vec<_>>().join(", ");
        let _ = writeln!(text, "{} {}({parameters})\n{{\n\tupcall(\"{1}\");", function.result, function.name);
        for parameter in &function.parameters {
            let _ = writeln!(text, "\targument(\"{0}\", &{0}, sizeof {0});", parameter.name);
        }
        let answer = if function.result == "void" { "answer();" } else { "return answer();" };
        let _ = writeln!(text, "\t{answer}\n}}\n");
    }
    let _ = writeln!(text, "const struct call calls[] = {{{{0}}}};\n");
    let _ = writeln!(text, "extern boolean_t {demux}(mach_msg_header_t *, mach_msg_header_t *);\n");
    let _ =
        writeln!(text, "int demux(void *request, void *reply)\n{{\n\treturn {demux}(request, reply);\n}}");
    text
}
