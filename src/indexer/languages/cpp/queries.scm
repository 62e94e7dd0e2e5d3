; C++ beside ../c/declarations.scm.

(template_declaration [(class_specifier) (struct_specifier) (union_specifier) (function_definition)]) @outer

(class_specifier name: (_) body: (_)) @class
(class_specifier name: (type_identifier) @name body: (_))
(class_specifier name: (template_type name: (_) @name) body: (_))
(class_specifier name: (qualified_identifier) @name body: (_))
(struct_specifier name: (template_type name: (_) @name) body: (_))
(union_specifier name: (template_type name: (_) @name) body: (_))
(struct_specifier name: (qualified_identifier) @name body: (_))
(base_class_clause [(type_identifier) (template_type) (qualified_identifier)] @base)

(function_declarator declarator: [(field_identifier) (destructor_name) (operator_name) (qualified_identifier) (template_function)] @name)
(function_definition declarator: [(operator_cast) (qualified_identifier)] @name)
; Pure virtual methods have no definition anywhere; they are the class's contract.
(field_declaration declarator: (function_declarator) default_value: (_)) @function
(field_declaration declarator: (function_declarator) default_value: (_)) @abstract

(optional_parameter_declaration declarator: (_) @param)
(variadic_parameter_declaration declarator: (_) @param)
(lambda_expression declarator: (_) @foreign-params)

(using_declaration) @import

(call_expression function: [(qualified_identifier) (template_function)] @call)
(new_expression type: [(type_identifier) (qualified_identifier) (template_type)] @new)
(throw_statement) @raise

(for_range_loop) @branch
(try_statement) @branch
(catch_clause) @branch

(for_range_loop declarator: (identifier) @variable)
(reference_declarator (identifier) @variable)
(structured_binding_declarator (identifier) @variable)
