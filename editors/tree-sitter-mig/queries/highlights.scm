(comment) @comment
(preprocessor) @keyword.directive
(string) @string
(system_path) @string
(number) @number

(subsystem name: (identifier) @module)
(routine name: (identifier) @function)
(prefix name: (identifier) @function)
(translation function: (identifier) @function)
(type_declaration name: (identifier) @type.definition)
(argument name: (identifier) @variable.parameter)
(argument type: (identifier) @type)
(member type: (identifier) @type)
(member name: (identifier) @variable.member)
(direction) @keyword.modifier
(flag) @attribute
(builtin_type) @type.builtin

((identifier) @type.builtin
  (#match? @type.builtin "^(MACH_)?MSG_TYPE_"))

[
  "subsystem" "kerneluser" "kernelserver" "kernel"
  "type" "array" "of" "struct" "c_string" "pointerto" "pointertoifnot" "valueof"
  "intran" "outtran" "destructor" "intranpayload" "ctype" "cusertype" "cservertype"
  "routine" "simpleroutine" "procedure" "simpleprocedure" "function"
  "skip" "import" "uimport" "simport" "iimport" "dimport" "rcsid"
  "serverprefix" "userprefix" "serverdemux" "error"
  "waittime" "nowaittime" "sendtime" "nosendtime" "msgoption" "msgtype" "msgkind"
  "usespecialreplyport" "consumeonsenderror" "usertypelimit" "onstacklimit"
] @keyword

["=" "^" "|" "+" "-" "*" "/"] @operator
["(" ")" "[" "]" "{" "}"] @punctuation.bracket
[";" ":" ","] @punctuation.delimiter
