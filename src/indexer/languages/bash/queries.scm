; Bash. What each capture means is written in ../README.md.

(function_definition) @function
(function_definition name: (_) @name)

(comment) @comment
(command name: (command_name (word)) argument: (_)) @import
(command name: (command_name (word) @call))

; Complexity.
(if_statement) @branch
(elif_clause) @branch
(for_statement) @branch
(c_style_for_statement) @branch
(while_statement) @branch
(case_item) @branch
(list ["&&" "||"]) @branch
