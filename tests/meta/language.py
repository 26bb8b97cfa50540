"""Habits of writing that this project gave up, each with what to write instead."""

from __future__ import annotations

# Anywhere in a comment, a docstring, a message, a test's name or a page; regular expressions.
HABITS = {
    r"whoever": "name the actor: operator, publisher, worker, receiver, target, user",
    r"who(?:m|mever)": "name the actor, in a sentence of which it is the subject",
    r"nobody|no one|noone": "name the actor: `no worker`, `no operator`",
    r"somebody|someone|anybody|anyone|everybody|everyone": "name the actor",
    r"anew": "again",
    r"at once": "immediately; at the same time",
    r"so many": "the parameter's name, or a number",
    r"let(?:s|ting)? go(?: of)?": "release",
    r"under way": "running, in progress, in flight",
    r"of (?:its|their|his|her|your|our) own": "its own, a separate",
    r"(?:is|are|was|were) away": "is unavailable, is down",
    r"in the name of": "as, for",
    r"go(?:es)? on": "continue",
    r"went on": "continued",
    r"its very|the very|very bytes": "the same, exactly",
    r"mend(?:s|ed|ing)?": "fix, repair",
    r"beside": "next to, in addition to",
    r"the house|house rules?|front doors?": "the project; the server's listener (Envoy)",
    r"pretences?": "fake",
    r"on its own feet": "standalone",
    r"see the port": "nothing: the protocol's docstring is enough (D102 is off for adapters)",
}

# As the first word of a docstring: it starts a clause that has no verb of the sentence.
OPENINGS = {
    "What": "a noun (`The headers of …`), or a verb (`Return the headers of …`)",
    "Whatever": "`Any …`",
    "How": "`The number of …`, or a verb (`Return how many …`)",
    "Whether": "`Return whether …`, `True if …`",
    "Which": "a noun (`The target that …`), or a verb (`Return the target that …`)",
    "Who": "name the actor",
    "Where": "`The path of …`, `The place where …`",
    "Why": "`The reason for …`",
}
