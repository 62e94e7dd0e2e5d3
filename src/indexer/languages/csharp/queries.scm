; C#. What each capture means is written in ../README.md.

(class_declaration) @class
(struct_declaration) @class
(interface_declaration) @class
(enum_declaration) @class
(record_declaration) @class
(interface_declaration) @abstract
(class_declaration (modifier "abstract")) @abstract
(class_declaration name: (_) @name)
(struct_declaration name: (_) @name)
(interface_declaration name: (_) @name)
(enum_declaration name: (_) @name)
(record_declaration name: (_) @name)
(base_list [(identifier) (generic_name) (qualified_name) (alias_qualified_name) (predefined_type)] @base)
(base_list (primary_constructor_base_type . (_) @base))

(method_declaration) @function
(constructor_declaration) @function
(destructor_declaration) @function
(operator_declaration) @function
(conversion_operator_declaration) @function
(local_function_statement) @function
(method_declaration (modifier "abstract")) @abstract
(interface_declaration body: (declaration_list (method_declaration !body) @abstract))
(method_declaration name: (_) @name)
(constructor_declaration name: (_) @name)
(destructor_declaration name: (_) @name)
(destructor_declaration "~" @name-start)
(operator_declaration operator: _ @name)
(operator_declaration "operator" @name-start)
(conversion_operator_declaration type: (_) @name)
(conversion_operator_declaration "operator" @name-start)
(local_function_statement name: (_) @name)

(parameter_list) @params
(parameter_list (parameter name: (_) @param))
(parameter_list name: (_) @param)

(comment) @comment
(using_directive) @import

(invocation_expression function: [(identifier) (member_access_expression) (conditional_access_expression) (generic_name)] @call)
(object_creation_expression type: (_) @new)
(throw_statement) @raise
(throw_expression) @raise

; Complexity.
(if_statement) @branch
(for_statement) @branch
(foreach_statement) @branch
(while_statement) @branch
(do_statement) @branch
(try_statement) @branch
(catch_clause) @branch
(switch_section "case") @branch
(switch_expression_arm) @branch
(conditional_expression) @branch
(binary_expression operator: ["&&" "||" "??"]) @branch

; Variables.
(local_declaration_statement (variable_declaration (variable_declarator name: (identifier) @variable)))
(foreach_statement left: (identifier) @variable)
(declaration_pattern name: (identifier) @variable)
(declaration_expression name: (identifier) @variable)
(lambda_expression parameters: (implicit_parameter) @variable)
