; C beside declarations.scm: parameters of the old style, `f(a, b) int a, b; { … }`.
(parameter_list (identifier) @param)
