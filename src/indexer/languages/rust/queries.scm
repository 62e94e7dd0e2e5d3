; Rust. What each capture means is written in ../README.md.

(attribute_item) @decorator

(struct_item) @class
(enum_item) @class
(union_item) @class
(trait_item) @class
(trait_item) @abstract
(struct_item name: (_) @name)
(enum_item name: (_) @name)
(union_item name: (_) @name)
(trait_item name: (_) @name)
(trait_item bounds: (trait_bounds (_) @base))

(impl_item) @region
(impl_item trait: (_) @base)
(impl_item type: [
  (type_identifier) @owner
  (primitive_type) @owner
  (generic_type type: (type_identifier) @owner)
  (generic_type type: (scoped_type_identifier name: (_) @owner))
  (scoped_type_identifier name: (_) @owner)
  (array_type) @owner
  (tuple_type) @owner
  (unit_type) @owner
  (function_type) @owner
  (dynamic_type trait: (type_identifier) @owner)
  (dynamic_type trait: (generic_type type: (type_identifier) @owner))
  (dynamic_type trait: (scoped_type_identifier name: (_) @owner))
  (pointer_type type: (_) @owner)
  (reference_type type: [(type_identifier) (primitive_type) (array_type) (tuple_type)] @owner)
  (reference_type type: (generic_type type: (type_identifier) @owner))
  (reference_type type: (scoped_type_identifier name: (_) @owner))
  (reference_type type: (dynamic_type trait: (_) @owner))
])

(function_item) @function
(function_signature_item) @function
(macro_definition) @function
(trait_item body: (declaration_list (function_signature_item) @abstract))
(function_item name: (_) @name)
(function_signature_item name: (_) @name)
(macro_definition name: (_) @name)

(parameters) @params
; `self: Box<Self>` is no pattern.
(parameters (parameter pattern: (_pattern) @param))

(line_comment) @comment
(block_comment) @comment
(use_declaration) @import

(call_expression function: [(identifier) (field_expression) (scoped_identifier)] @call)
(call_expression function: (generic_function function: [(identifier) (field_expression) (scoped_identifier)] @call))
(macro_invocation macro: [(identifier) (scoped_identifier)] @call)
; What is in a macro is no more than tokens to the grammar.
(token_tree (identifier) @token-call . (token_tree . "("))
(token_tree (identifier) @token-call . "!" . (token_tree))
(struct_expression name: [(type_identifier) (scoped_type_identifier)] @new)
(struct_expression name: (generic_type_with_turbofish type: (_) @new))
(macro_invocation macro: (identifier)) @raise

; Complexity.
(if_expression) @branch
(for_expression) @branch
(while_expression) @branch
(loop_expression) @branch
(match_arm) @branch
(binary_expression operator: ["&&" "||"]) @branch
(let_chain "&&" @branch)

; Variables.
(let_declaration pattern: (identifier) @variable)
(for_expression pattern: (identifier) @variable)
(closure_parameters [(identifier) @variable (parameter pattern: (identifier) @variable)])
(tuple_pattern (identifier) @variable)
(tuple_struct_pattern type: (_) (identifier) @variable)
