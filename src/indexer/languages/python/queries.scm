; Python. What each capture means is written in ../README.md.

(class_definition) @class
(function_definition) @function
(decorated_definition) @outer

(class_definition name: (identifier) @name)
(function_definition name: (identifier) @name)

(class_definition superclasses: (argument_list [(expression) (list_splat)] @base))

(parameters) @params
(parameters [
  (identifier) @param
  (default_parameter name: (identifier) @param)
  (typed_default_parameter name: (identifier) @param)
  (typed_parameter . (identifier) @param)
  (list_splat_pattern (identifier) @param)
  (dictionary_splat_pattern (identifier) @param)
  (typed_parameter . (list_splat_pattern (identifier) @param))
  (typed_parameter . (dictionary_splat_pattern (identifier) @param))
])

; The first statement of a body, when it is nothing but a string.
(class_definition body: (block . (expression_statement . [(string) (concatenated_string) (parenthesized_expression)] @doc .)))
(function_definition body: (block . (expression_statement . [(string) (concatenated_string) (parenthesized_expression)] @doc .)))
(module . (comment)* . (expression_statement . [(string) (concatenated_string) (parenthesized_expression)] @doc .))

(comment) @comment

(import_statement) @import
(import_from_statement) @import
(future_import_statement) @import

(call function: [(identifier) (attribute)] @call)
; The grammar reads `[*f()]` as a call of `*f`, and `type(x).y = z` as a type alias.
(call function: (list_splat [(identifier) (attribute)] @call))
(type_alias_statement "type" @call left: (type [(attribute) (subscript (attribute))]))

(function_definition body: (block (pass_statement) @pass))
(raise_statement) @raise

; Complexity. `async for` and `async with` do not count.
(if_statement) @branch
(elif_clause) @branch
(for_statement) @sync-branch
(while_statement) @branch
(try_statement) @branch
(except_clause) @branch
(with_statement) @sync-branch
(conditional_expression) @branch
(boolean_operator) @branch
(case_clause) @branch

; Variables.
(assignment left: (identifier) @variable)
(named_expression name: (identifier) @variable)
(for_statement left: (identifier) @variable)
(for_in_clause left: (identifier) @variable)
(as_pattern_target (identifier) @variable)
(pattern_list (identifier) @variable)
(tuple_pattern (identifier) @variable)
(lambda_parameters [(identifier) @variable (default_parameter name: (identifier) @variable)])
