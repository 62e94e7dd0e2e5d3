; PHP. What each capture means is written in ../README.md.

(class_declaration) @class
(interface_declaration) @class
(trait_declaration) @class
(enum_declaration) @class
(class_declaration (abstract_modifier)) @abstract
(interface_declaration) @abstract
(class_declaration name: (_) @name)
(interface_declaration name: (_) @name)
(trait_declaration name: (_) @name)
(enum_declaration name: (_) @name)
(base_clause (_) @base)
(class_interface_clause (_) @base)
(use_declaration [(name) (qualified_name)] @base)
; The methods of an anonymous class are no methods of the class around it.
(anonymous_class body: (_) @region)

(function_definition) @function
(method_declaration) @function
(method_declaration (abstract_modifier)) @abstract
(interface_declaration body: (declaration_list (method_declaration) @abstract))
(function_definition name: (_) @name)
(method_declaration name: (_) @name)

(formal_parameters) @params
(formal_parameters (simple_parameter name: (variable_name (name) @param)))
(formal_parameters (variadic_parameter name: (variable_name (name) @param)))
(formal_parameters (property_promotion_parameter name: (variable_name (name) @param)))

(comment) @comment
(namespace_use_declaration) @import
(include_expression) @import
(include_once_expression) @import
(require_expression) @import
(require_once_expression) @import

(function_call_expression function: [(name) (qualified_name)] @call)
(member_call_expression object: (_) @receiver name: (name) @call)
(nullsafe_member_call_expression object: (_) @receiver name: (name) @call)
(scoped_call_expression scope: (_) @receiver name: (name) @call)
(object_creation_expression [(name) (qualified_name)] @new)
(throw_expression) @raise

; Complexity.
(if_statement) @branch
(else_if_clause) @branch
(for_statement) @branch
(foreach_statement) @branch
(while_statement) @branch
(do_statement) @branch
(try_statement) @branch
(catch_clause) @branch
(case_statement) @branch
(match_conditional_expression) @branch
(conditional_expression) @branch
(binary_expression operator: ["&&" "||" "and" "or" "??"]) @branch
