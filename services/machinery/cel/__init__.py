"""The Common Expression Language as Kubernetes uses it.

The door::

    from pilothouse.services.machinery.cel.environment import Environment
    from pilothouse.services.machinery.cel.errors import (
        BudgetExceeded, CompileErrors, EvaluationError)
    from pilothouse.services.machinery.cel.program import Program, compile_expression
    from pilothouse.services.machinery.cel.schema import Declaration, declare, schema_type
    from pilothouse.services.machinery.cel import types

    declaration = schema_type(structural_schema, root=True)       # None: not visible to expressions
    environment = Environment({"self": declaration, "oldSelf": declaration})
    program = compile_expression("self.replicas <= self.max", environment)  # result=types.BOOL
    value, cost = program.evaluate({"self": {"replicas": 1, "max": 3}}, budget)
    program.references                      # frozenset({"self"}): whether oldSelf is read
    program.cost_estimate(declaration).max  # against costs.STATIC_LIMIT_PER_EXPRESSION

* `compile_expression(source, environment, result)` raises `CompileErrors`; `str(error)` is the
  text after `compilation failed: ` in API errors (`ERROR: <input>:1:5: undefined field 'x'` with
  the line and a caret). `result` is a `types.Type` (BOOL, STRING) or None for any; a wrong one
  has the only issue `cel expression must evaluate to a bool` (`error.issues[0].message`).
* Bindings are plain JSON values, converted lazily by their declaration: date-times, durations and
  bytes of schemas read as such, integers in `number` fields as double, names are escaped
  (`__namespace__`, `a__dash__b`), undeclared fields are hidden. A variable that
  may be absent is `schema.optional(declaration)`: bind it to JSON or to `values.NONE`. Variables of
  unknown schema are `declare(types.DYN)`, of other types `declare(types.STRING)` and so on.
* `evaluate` raises `EvaluationError` (`no such key: x`) and `BudgetExceeded`. Limits are in
  `costs`: PER_CALL_LIMIT, RUNTIME_BUDGET, STATIC_LIMIT_PER_EXPRESSION, STATIC_LIMIT_PER_DEFINITION.
* Of a schema's declaration, `min_size` is the least size in bytes as JSON (for cardinality:
  `costs`/`schema.MAX_REQUEST_BYTES // (min_size + 1)`), `max_elements` its bound.
* `escaping.escape` and `unescape` translate property names.
"""
