; What JavaScript and TypeScript share. What each capture means is written in ../README.md.
;
; A function or class expression is a definition when it has a name: its own, else that of the variable, property or
; field it is assigned to. Other expressions (callbacks) are none.

(export_statement declaration: (_)) @outer
(lexical_declaration kind: _ . (variable_declarator value: [(arrow_function) (function_expression) (class)]) .) @outer
(variable_declaration "var" . (variable_declarator value: [(arrow_function) (function_expression) (class)]) .) @outer
(decorator) @decorator

(class_declaration) @class
(class name: (_)) @class
(variable_declarator value: (class !name)) @class
(assignment_expression right: (class !name)) @class
(pair value: (class !name)) @class
(export_statement value: (class !name)) @class

(function_declaration) @function
(generator_function_declaration) @function
(function_expression name: (_)) @function
(generator_function name: (_)) @function
(method_definition) @function
(variable_declarator value: [(arrow_function) (function_expression !name) (generator_function !name)]) @function
(assignment_expression right: [(arrow_function) (function_expression !name) (generator_function !name)]) @function
(pair value: [(arrow_function) (function_expression !name) (generator_function !name)]) @function
(export_statement value: [(arrow_function) (function_expression !name) (generator_function !name)]) @function

(class_declaration name: (_) @name)
(class name: (_) @name)
(function_declaration name: (_) @name)
(generator_function_declaration name: (_) @name)
(function_expression name: (_) @name)
(generator_function name: (_) @name)
(method_definition name: [(property_identifier) (private_property_identifier) (number) (computed_property_name)] @name)
(method_definition name: (string (string_fragment) @name))
(variable_declarator name: (_) @name value: [(arrow_function) (function_expression !name) (generator_function !name) (class !name)])
(assignment_expression left: (identifier) @name right: [(arrow_function) (function_expression !name) (generator_function !name) (class !name)])
(assignment_expression left: (member_expression property: (_) @name) right: [(arrow_function) (function_expression !name) (generator_function !name) (class !name)])
(assignment_expression left: (subscript_expression index: [(identifier) (member_expression) (number) (template_string)] @name) right: [(arrow_function) (function_expression !name) (generator_function !name) (class !name)])
(assignment_expression left: (subscript_expression index: (string (string_fragment) @name)) right: [(arrow_function) (function_expression !name) (generator_function !name) (class !name)])
(pair key: [(property_identifier) (private_property_identifier) (number) (computed_property_name)] @name value: [(arrow_function) (function_expression !name) (generator_function !name) (class !name)])
(pair key: (string (string_fragment) @name) value: [(arrow_function) (function_expression !name) (generator_function !name) (class !name)])
(export_statement "default" @name value: [(arrow_function) (function_expression !name) (generator_function !name) (class !name)])

(formal_parameters) @params
(arrow_function parameter: (identifier) @params @param)

(comment) @comment

(import_statement) @import
(export_statement source: (_)) @import
(variable_declarator value: (call_expression function: (identifier) arguments: (arguments . (string) .))) @import
(variable_declarator value: (member_expression object: (call_expression function: (identifier) arguments: (arguments . (string) .)))) @import
(expression_statement (call_expression function: (identifier) arguments: (arguments . (string) .))) @import
(call_expression function: (import) arguments: (arguments . (string))) @import

(call_expression function: [(identifier) (member_expression)] @call)
(new_expression constructor: [(identifier) (member_expression)] @new)

(throw_statement) @raise

; Complexity. `default` is no further path: without it control falls through.
(if_statement) @branch
(for_statement) @branch
(for_in_statement) @branch
(while_statement) @branch
(do_statement) @branch
(try_statement) @branch
(catch_clause) @branch
(switch_case) @branch
(ternary_expression) @branch
(binary_expression operator: ["&&" "||" "??"]) @branch

; Variables.
(variable_declarator name: (identifier) @variable)
(for_in_statement left: (identifier) @variable)
(catch_clause parameter: (identifier) @variable)
(array_pattern (identifier) @variable)
(object_pattern (shorthand_property_identifier_pattern) @variable)
(object_assignment_pattern left: (shorthand_property_identifier_pattern) @variable)
(pair_pattern value: (identifier) @variable)
(rest_pattern (identifier) @variable)
