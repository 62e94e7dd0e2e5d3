; Java. What each capture means is written in ../README.md.

(class_declaration) @class
(interface_declaration) @class
(enum_declaration) @class
(record_declaration) @class
(annotation_type_declaration) @class
(class_declaration (modifiers "abstract")) @abstract
(interface_declaration) @abstract
(annotation_type_declaration) @abstract
(class_declaration name: (_) @name)
(interface_declaration name: (_) @name)
(enum_declaration name: (_) @name)
(record_declaration name: (_) @name)
(annotation_type_declaration name: (_) @name)
(superclass (_) @base)
(super_interfaces (type_list (_) @base))
(extends_interfaces (type_list (_) @base))
; The methods of an anonymous class are no methods of the class around it; a constant with a body is one.
(enum_constant (class_body) @region)
(object_creation_expression (class_body) @region)

(method_declaration) @function
(constructor_declaration) @function
(compact_constructor_declaration) @function
(annotation_type_element_declaration) @function
(method_declaration (modifiers "abstract")) @abstract
(interface_body (method_declaration !body) @abstract)
(annotation_type_element_declaration) @abstract
(method_declaration name: (_) @name)
(constructor_declaration name: (_) @name)
(compact_constructor_declaration name: (_) @name)
(annotation_type_element_declaration name: (_) @name)

(method_declaration parameters: (_) @params)
(constructor_declaration parameters: (_) @params)
(lambda_expression parameters: (_) @foreign-params)
(formal_parameters (formal_parameter name: (_) @param))
(formal_parameters (spread_parameter (variable_declarator name: (_) @param)))

(line_comment) @comment
(block_comment) @comment
(import_declaration) @import

(method_invocation object: (_) @receiver name: (_) @call)
(method_invocation !object name: (_) @call)
(object_creation_expression type: [(type_identifier) (scoped_type_identifier)] @new)
(object_creation_expression type: (generic_type . (_) @new))
(throw_statement) @raise

; Complexity.
(if_statement) @branch
(for_statement) @branch
(enhanced_for_statement) @branch
(while_statement) @branch
(do_statement) @branch
(try_statement) @branch
(try_with_resources_statement) @branch
(catch_clause) @branch
(ternary_expression) @branch
(switch_label (_)) @branch
(binary_expression operator: ["&&" "||"]) @branch
