; TypeScript beside ../javascript/ecmascript.scm.

(abstract_class_declaration) @class
(interface_declaration) @class
(enum_declaration) @class
(function_signature) @function
(class_body (method_signature) @function)
(interface_body (method_signature) @function)
(abstract_method_signature) @function
(public_field_definition value: [(arrow_function) (function_expression !name) (generator_function !name)]) @function
(public_field_definition value: (class !name)) @class

(abstract_class_declaration) @abstract
(interface_declaration) @abstract
(abstract_method_signature) @abstract
(interface_body (method_signature) @abstract)

(abstract_class_declaration name: (_) @name)
(interface_declaration name: (_) @name)
(enum_declaration name: (_) @name)
(function_signature name: (_) @name)
(method_signature name: [(property_identifier) (private_property_identifier) (number) (computed_property_name)] @name)
(method_signature name: (string (string_fragment) @name))
(abstract_method_signature name: [(property_identifier) (private_property_identifier) (number) (computed_property_name)] @name)
(abstract_method_signature name: (string (string_fragment) @name))
(public_field_definition
  name: [(property_identifier) (private_property_identifier) (number) (computed_property_name)] @name
  value: [(arrow_function) (function_expression !name) (generator_function !name) (class !name)])
; What is defined inside the value of a field is no method of the class.
(public_field_definition value: [(object) (array) (call_expression) (new_expression)] @region)

(extends_clause) @base
(implements_clause (_) @base)
(extends_type_clause type: (_) @base)

(formal_parameters (required_parameter pattern: [(identifier) (object_pattern) (array_pattern)] @param))
(formal_parameters (required_parameter pattern: (rest_pattern (_) @param)))
(formal_parameters (optional_parameter pattern: (_) @param))

; Function types name parameters too.
(type_parameters) @foreign-params
(variable_declarator type: (type_annotation) @foreign-params)
(public_field_definition type: (type_annotation) @foreign-params)
