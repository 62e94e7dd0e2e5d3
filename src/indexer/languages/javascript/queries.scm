; JavaScript beside ecmascript.scm.

(field_definition value: [(arrow_function) (function_expression !name) (generator_function !name)]) @function
(field_definition value: (class !name)) @class
(field_definition
  property: [(property_identifier) (private_property_identifier) (number) (computed_property_name)] @name
  value: [(arrow_function) (function_expression !name) (generator_function !name) (class !name)])
; What is defined inside the value of a field is no method of the class.
(field_definition value: [(object) (array) (call_expression) (new_expression)] @region)

(class_heritage (_) @base)

(formal_parameters [(identifier) (object_pattern) (array_pattern)] @param)
(formal_parameters (assignment_pattern left: (_) @param))
(formal_parameters (rest_pattern (_) @param))
