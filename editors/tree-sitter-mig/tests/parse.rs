//! Every file of the repository's definitions has a tree without errors, and what is coloured is what it is.

use std::fs;
use std::path::{Path, PathBuf};

use streaming_iterator::StreamingIterator as _;
use tree_sitter::{Node, Parser, Query, QueryCursor, Tree};

fn parse(text: &str) -> Tree {
    let mut parser = Parser::new();
    parser.set_language(&tree_sitter_mig::LANGUAGE.into()).unwrap();
    parser.parse(text, None).unwrap()
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "defs") {
            files.push(path);
        }
    }
}

/// The first place that the grammar does not have.
fn wrong(node: Node<'_>) -> Option<Node<'_>> {
    if node.is_error() || node.is_missing() {
        return Some(node);
    }
    let mut cursor = node.walk();
    let children: Vec<_> = node.children(&mut cursor).filter(Node::has_error).collect();
    children.into_iter().find_map(wrong)
}

#[test]
fn every_file_of_the_repository_has_a_tree_without_errors() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = Vec::new();
    find(&root.join("defs"), &mut files);
    find(&root.join("examples"), &mut files);
    find(&root.join("docs/book"), &mut files);
    assert!(files.len() > 100);
    let mut failed = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let tree = parse(&text);
        if let Some(node) = wrong(tree.root_node()) {
            let place = node.start_position();
            let line = text.lines().nth(place.row).unwrap_or_default();
            failed.push(format!("{}:{}:{}: {line}", file.display(), place.row + 1, place.column + 1));
        }
    }
    assert!(failed.is_empty(), "{} files:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn what_is_no_statement_is_an_error() {
    for text in ["subsystem 5;", "routine f(p : port_t;);", "type t = array[*:] of x;", "skip", "import a;"] {
        assert!(parse(text).root_node().has_error(), "{text}");
    }
    // Words of some dialects are names where a name is asked for, and keywords are in any case.
    for text in [
        "routine f(error : t; function : t; kernel : t);",
        "SubSystem KernelServer s 10; ROUTINE f(P : mach_port_t);",
        "type t = ^ array[*:4 * (N + 1)] of struct[8] of int ctype: t;",
        "type s = struct { int32 a; int32 b; };",
        "type t = (MACH_MSG_TYPE_PORT_SEND | polymorphic, 32, dealloc[]);",
        "#define X /* a\n b */ \\\n more\nskip 3; // end",
    ] {
        assert!(!parse(text).root_node().has_error(), "{text}: {}", parse(text).root_node().to_sexp());
    }
}

#[test]
fn names_are_coloured_as_what_they_are() {
    let text = "/* c */ subsystem clock 3100;\n#if A\ntype n_t = MACH_MSG_TYPE_INTEGER_32;\n#endif\n\
                routine get(in p : n_t, dealloc);";
    let tree = parse(text);
    let query = Query::new(&tree_sitter_mig::LANGUAGE.into(), tree_sitter_mig::HIGHLIGHTS_QUERY).unwrap();
    let mut cursor = QueryCursor::new();
    let mut found = Vec::new();
    let mut captures = cursor.captures(&query, tree.root_node(), text.as_bytes());
    while let Some((matched, index)) = captures.next() {
        let capture = matched.captures[*index];
        let name = query.capture_names()[capture.index as usize];
        found.push((&text[capture.node.byte_range()], name));
    }
    for expected in [
        ("/* c */", "comment"),
        ("subsystem", "keyword"),
        ("clock", "module"),
        ("3100", "number"),
        ("#if A", "keyword.directive"),
        ("n_t", "type.definition"),
        ("MACH_MSG_TYPE_INTEGER_32", "type.builtin"),
        ("get", "function"),
        ("in", "keyword.modifier"),
        ("p", "variable.parameter"),
        ("n_t", "type"),
        (", dealloc", "attribute"),
    ] {
        assert!(found.contains(&expected), "{expected:?} in {found:?}");
    }
}
