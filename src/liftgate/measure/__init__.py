"""What decisions were worth: closed forms over sufficient statistics, for the decision log and for any table a user brings.

`table` is the one module that knows an engine: it turns a table into `statistic.Statistic` per arm and stratum. Everything else is
arithmetic on those. Where the data cannot carry an answer, the answer is a `refusal.Refusal`, not a number.
"""
