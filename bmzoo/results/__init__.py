"""What is published of one model or target: artifacts, verdicts, evaluations, tables, each with its provenance.

Each module makes one kind of result and says whether the one that is there is current. The zoo as a whole is
`release`.
"""
