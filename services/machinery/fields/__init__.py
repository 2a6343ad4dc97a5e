"""Who owns which field: server-side apply's arithmetic, over plain JSON values.

    schema ─▶ types ─┬─▶ extraction  the set of an object's fields
                     ├─▶ comparison  what a write added, modified, removed
                     ├─▶ merging     an applied configuration laid over the live object
                     └─▶ removal     fields taken out of an object
    entries (managedFields) ⇄ managers ─▶ ownership: update, apply, conflicts

A set of fields is the very tree that ``FieldsV1`` shows (:mod:`.fieldset`), so that nothing has to
be translated on the way to the store and back. The words and rules are those of Kubernetes'
structured-merge-diff.
"""
