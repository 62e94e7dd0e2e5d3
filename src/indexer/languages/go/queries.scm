; Go. What each capture means is written in ../README.md.

(type_declaration . (type_spec) .) @outer
(type_spec) @class
(type_alias type: [(interface_type) (struct_type)]) @class
(type_alias name: (_) @name type: [(interface_type) (struct_type)])
(type_spec name: (_) @name)
(type_spec type: (interface_type) @abstract)
(type_spec type: (interface_type (type_elem [(type_identifier) (qualified_type) (generic_type)] @base)))
(type_spec type: (struct_type (field_declaration_list (field_declaration !name type: (_) @base))))

(function_declaration) @function
(method_declaration) @function
; A method of an interface type without a name is none of the file.
(type_spec type: (interface_type (method_elem) @function))
(type_spec type: (interface_type (method_elem) @abstract))
(function_declaration name: (_) @name)
(method_declaration name: (_) @name)
(type_spec type: (interface_type (method_elem name: (_) @name)))
(method_declaration receiver: (parameter_list (parameter_declaration type: [
  (type_identifier) @owner
  (generic_type type: (type_identifier) @owner)
  (pointer_type (type_identifier) @owner)
  (pointer_type (generic_type type: (type_identifier) @owner))
])))

(function_declaration parameters: (_) @params)
(method_declaration parameters: (_) @params)
(type_spec type: (interface_type (method_elem parameters: (_) @params)))
(func_literal parameters: (_) @foreign-params)
(function_type parameters: (_) @foreign-params)
(parameter_declaration name: (identifier) @param)
(variadic_parameter_declaration name: (identifier) @param)

(comment) @comment
(import_spec) @import

(call_expression function: [(identifier) (selector_expression)] @call)
(composite_literal type: [(type_identifier) (qualified_type)] @new)
(composite_literal type: (generic_type type: (_) @new))
(call_expression function: (identifier) arguments: (argument_list (interpreted_string_literal))) @raise

; Complexity.
(if_statement) @branch
(for_statement) @branch
(expression_case) @branch
(type_case) @branch
(communication_case) @branch
(binary_expression operator: ["&&" "||"]) @branch

; Variables.
(short_var_declaration left: (expression_list (identifier) @variable))
(range_clause left: (expression_list (identifier) @variable))
(receive_statement left: (expression_list (identifier) @variable))
(var_spec name: (identifier) @variable)
