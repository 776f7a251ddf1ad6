/**
 * The language of `.defs` files as it is written: the words of all dialects of MIG, and lines of the
 * preprocessor wherever they stand, which are not evaluated.
 */
/// <reference types="tree-sitter-cli/dsl" />

/** A keyword, in any case. */
const word = (text) =>
  alias(new RegExp([...text].map((c) => (c === "_" ? c : `[${c.toLowerCase()}${c.toUpperCase()}]`)).join("")), text);

const words = (...texts) => choice(...texts.map(word));

const list = (separator, rule) => optional(seq(rule, repeat(seq(separator, rule))));

module.exports = grammar({
  name: "mig",

  word: ($) => $.identifier,

  extras: ($) => [/\s/, $.comment, $.preprocessor],

  rules: {
    source_file: ($) => repeat(choice($._statement, ";")),

    _statement: ($) =>
      choice(
        $.subsystem,
        $.type_declaration,
        $.routine,
        $.skip,
        $.import,
        $.prefix,
        $.setting,
        // Whatever its lines are.
        field("macro", $.identifier),
      ),

    subsystem: ($) =>
      seq(
        word("subsystem"),
        repeat(words("kerneluser", "kernelserver", "kernel")),
        field("name", $.identifier),
        field("base", $._expression),
        ";",
      ),

    skip: ($) => seq(word("skip"), optional($._expression), ";"),

    import: ($) =>
      seq(words("import", "uimport", "simport", "iimport", "dimport"), choice($.string, $.system_path), ";"),

    prefix: ($) =>
      seq(words("serverprefix", "userprefix", "serverdemux", "error"), optional(field("name", $.identifier)), ";"),

    setting: ($) =>
      seq(
        choice(
          words("nowaittime", "nosendtime"),
          seq(
            words(
              "waittime", "sendtime", "msgoption", "msgtype", "msgkind", "usespecialreplyport",
              "consumeonsenderror", "usertypelimit", "onstacklimit", "rcsid",
            ),
            choice($.string, $._expression),
          ),
        ),
        ";",
      ),

    type_declaration: ($) => seq(word("type"), $._type_definition, ";"),

    _type_definition: ($) => seq(field("name", $.identifier), "=", field("type", $._type), repeat($.translation)),

    translation: ($) =>
      choice(
        seq(words("intran", "outtran"), ":", $.identifier, field("function", $.identifier), "(", $.identifier, ")"),
        seq(word("destructor"), ":", field("function", $.identifier), "(", $.identifier, ")"),
        seq(words("intran", "outtran", "destructor", "intranpayload"), ":", field("macro", $.identifier)),
        seq(word("intranpayload"), ":", $.identifier, field("function", $.identifier)),
        seq(words("ctype", "cusertype", "cservertype"), ":", $.identifier),
      ),

    _type: ($) =>
      choice(
        $._basic_type,
        $.long_type,
        $.pointer_type,
        $.array_type,
        $.struct_type,
        $.string_type,
        $.native_type,
      ),

    _basic_type: ($) => choice($._name_of_type, seq($._name_of_type, "|", $._name_of_type)),

    _name_of_type: ($) => choice($.identifier, $.number, alias(word("polymorphic"), $.builtin_type)),

    long_type: ($) => seq("(", $._basic_type, ",", $._expression, repeat($.flag), ")"),

    pointer_type: ($) => seq("^", $._type),

    array_type: ($) => seq(word("array"), $.bound, word("of"), $._type),

    struct_type: ($) =>
      seq(word("struct"), choice(seq($.bound, word("of"), $._type), seq("{", repeat1($.member), "}"))),

    member: ($) => seq(field("type", $.identifier), field("name", $.identifier), ";"),

    string_type: ($) => seq(word("c_string"), $.bound),

    native_type: ($) =>
      seq(words("pointerto", "pointertoifnot", "valueof"), "(", list(",", repeat1($.identifier)), ")"),

    bound: ($) => seq("[", optional(choice($._expression, seq("*", optional(seq(":", $._expression))))), "]"),

    routine: ($) =>
      seq(
        words("routine", "simpleroutine", "procedure", "simpleprocedure", "function"),
        field("name", $.identifier),
        "(",
        list(";", choice($.argument, field("macro", $.identifier))),
        ")",
        optional(seq(":", field("result", $._argument_type))),
        ";",
      ),

    argument: ($) =>
      seq(
        optional(field("direction", $.direction)),
        field("name", $.identifier),
        ":",
        field("type", $._argument_type),
        repeat($.flag),
      ),

    direction: () =>
      words(
        "in", "out", "inout", "requestport", "replyport", "sreplyport", "ureplyport", "waittime", "sendtime",
        "msgoption", "msgseqno", "sectoken", "serversectoken", "usersectoken", "audittoken", "serveraudittoken",
        "useraudittoken", "servercontexttoken", "serverimpl", "userimpl",
      ),

    _argument_type: ($) => choice($.identifier, $._type_definition, $.native_type),

    flag: () =>
      seq(
        ",",
        words(
          "islong", "isnotlong", "dealloc", "notdealloc", "servercopy", "countinout", "retcode", "samecount",
          "physicalcopy", "overwrite", "auto", "const",
        ),
        optional(seq("[", "]")),
      ),

    _expression: ($) => choice($.number, $.identifier, $.binary_expression, seq("(", $._expression, ")")),

    binary_expression: ($) =>
      choice(
        prec.left(1, seq($._expression, choice("+", "-"), $._expression)),
        prec.left(2, seq($._expression, choice("*", "/"), $._expression)),
      ),

    identifier: () => /[A-Za-z_][A-Za-z0-9_]*/,
    number: () => /[0-9][A-Za-z0-9_]*/,
    string: () => /"[^"\n]*"/,
    system_path: () => /<[^>\n]*>/,
    comment: () => token(choice(/\/\/[^\n]*/, /\/\*([^*]|\*+[^*/])*\*+\//)),
    // With the comments in it, which may go on in the next line, and with lines that a backslash continues.
    preprocessor: () => token(/#([^\n\\/]|\\\r?\n|\\[^\n]|\/[^*\n]|\/\*([^*]|\*+[^*/])*\*+\/)*/),
  },
});
