; What C and C++ share. What each capture means is written in ../README.md.

(struct_specifier name: (_) body: (_)) @class
(union_specifier name: (_) body: (_)) @class
(enum_specifier name: (_) body: (_)) @class
; `typedef struct { … } name;`
(type_definition type: (struct_specifier !name body: (_))) @class
(type_definition type: (union_specifier !name body: (_))) @class
(type_definition type: (enum_specifier !name body: (_))) @class
(struct_specifier name: (type_identifier) @name body: (_))
(union_specifier name: (type_identifier) @name body: (_))
(enum_specifier name: (type_identifier) @name body: (_))
(type_definition type: [(struct_specifier !name body: (_)) (union_specifier !name body: (_)) (enum_specifier !name body: (_))]
  declarator: (type_identifier) @name)

(function_definition) @function
(function_declarator declarator: (identifier) @name)
(parameter_list) @params
(parameter_declaration declarator: (_) @param)

(comment) @comment
(preproc_include) @import
(preproc_function_def) @function
(preproc_function_def name: (_) @name)
(preproc_params) @params
(preproc_params (identifier) @param)

(call_expression function: [(identifier) (field_expression)] @call)

; Complexity.
(if_statement) @branch
(for_statement) @branch
(while_statement) @branch
(do_statement) @branch
(case_statement value: (_)) @branch
(conditional_expression) @branch
(binary_expression operator: ["&&" "||"]) @branch

; Variables, as far as they can be called.
(declaration declarator: (identifier) @variable)
(init_declarator declarator: (identifier) @variable)
(parenthesized_declarator (pointer_declarator declarator: (identifier) @variable))
