; Ruby. What each capture means is written in ../README.md.

(class) @class
(module) @class
(class name: [(constant) @name (scope_resolution name: (_) @name)])
(module name: [(constant) @name (scope_resolution name: (_) @name)])
(superclass (_) @base)
([(class body: (body_statement (call !receiver method: (identifier) @_verb arguments: (argument_list [(constant) (scope_resolution)] @base))))
  (module body: (body_statement (call !receiver method: (identifier) @_verb arguments: (argument_list [(constant) (scope_resolution)] @base))))]
  (#any-of? @_verb "include" "prepend"))

(method) @function
(singleton_method) @function
(method name: (_) @name)
(singleton_method name: (_) @name)

(method_parameters) @params
(method_parameters [
  (identifier) @param
  (destructured_parameter) @param
  (optional_parameter name: (_) @param)
  (keyword_parameter name: (_) @param)
  (splat_parameter name: (_) @param)
  (hash_splat_parameter name: (_) @param)
  (block_parameter name: (_) @param)
])

(comment) @comment
(call !receiver method: (identifier) arguments: (argument_list . (string) .)) @import

(call receiver: (_) @receiver method: (_) @call)
(call !receiver method: [(identifier) (constant)] @call)
(call !receiver method: (identifier) arguments: (argument_list)) @raise

; Complexity.
(if) @branch
(unless) @branch
(elsif) @branch
(while) @branch
(until) @branch
(for) @branch
(if_modifier) @branch
(unless_modifier) @branch
(while_modifier) @branch
(until_modifier) @branch
(rescue_modifier) @branch
(rescue) @branch
(when) @branch
(in_clause) @branch
(conditional) @branch
(binary operator: ["&&" "||" "and" "or"]) @branch
