"""The questions that the page of checks asks, how to read the answers, and what figures show."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["CAPTIONS", "TITLES", "Asked", "Caption"]


class Asked(NamedTuple):
    """The question that a check answers, and how to read the answer."""

    title: str
    why: str


TITLES = {
    "conflict": Asked(
        "Does the evidence contradict itself?",
        (
            "Each number is left out in turn; what everything else says it should be is held "
            "against what it reports. A small p says that chance and the stated errors hardly "
            "explain the difference. Of many numbers some have a small p by chance: the second p "
            "allows for that. The pull is how much the headline rises or falls because the number "
            "is there."
        ),
    ),
    "sources": Asked(
        "Which source pulls which way?",
        (
            "All numbers of one source are left out together, because they share its bias, and "
            "would vouch for each other one by one. A strong pull with a large p is a source that "
            "agrees with the others and counts for much."
        ),
    ),
    "priors": Asked(
        "Would other priors have given another answer?",
        (
            "A prior is what was held likely before the data were seen. Each is made half and "
            "twice as wide, one at a time. A change is flagged that moves the median by more than "
            "a quarter of its interval: there the answer is a choice of the authors as much as a "
            "finding."
        ),
    ),
    "power": Asked(
        "Does the answer follow the prior or the evidence?",
        (
            "The prior, or the evidence, is given a little more weight. An answer that moves with "
            "the prior and not with the evidence has learnt little; one that moves with both may "
            "stand between two that disagree. Only answers that were sampled are looked at."
        ),
    ),
    "hide-a-list": Asked(
        "Would the method have found a list whose size is known?",
        (
            "Each list is taken for the population: its size is known, and the other lists "
            "predict it. What fails here would fail on the population too; what holds here "
            "may still fail."
        ),
    ),
    "tipping": Asked(
        "What would have to be true for another answer?",
        (
            "One assumption at a time is changed until the answer is another size: the one that "
            "was asked for, or each end of the 95 % interval. If what it takes is far from "
            "anything likely, the answer stands on firm ground; if it is near, the reader must "
            "judge. In the figure the dashed line is the size, the point where a curve meets it "
            "what would have to be true."
        ),
    ),
    "leave-one-out": Asked(
        "How well is each piece of data predicted by the rest?",
        (
            "Each number of a study, or one person of each combination of lists, is left out in "
            "turn. Its score is the log of the probability (density) that the rest gives it: the "
            "higher, the better. k says whether the draws of the whole fit could be weighted to "
            "find it; above 0.7 the fit was made again without it."
        ),
    ),
    "fit": Asked(
        "Would the model give the table that was seen?",
        (
            "Each combination of lists, each list's total and each pair's overlap is held against "
            "what the fitted family would give again. The fit has used the same numbers, which "
            "makes large p-values usual and small ones serious; where a cell was predicted from "
            "the other cells alone there is a second p, free of that."
        ),
    ),
    "families": Asked(
        "How far are the families apart?",
        (
            "Each family rests on another assumption about the people on no list. The table can "
            "say which predicts people on lists better, not which is right about the others: the "
            "spread between families is part of what is not known."
        ),
    ),
    "next-data": Asked(
        "Which further data would tell most?",
        (
            "Data that do not exist yet are simulated from the estimate, and what they would leave "
            "open is worked out. Narrower is 1 minus the width of the interval after them over "
            "today's, on the log scale, averaged over what they may show. All of it holds only as "
            "far as the model does: data that contradict it would be worth more than this says."
        ),
    ),
}


class Caption(NamedTuple):
    """Title and caption of a figure."""

    title: str
    text: str


CAPTIONS = {
    "conflict": Caption(
        "Each number against all others",
        (
            "Left: what was reported over what everything else expects, with its 95 % interval; 1 "
            "is agreement. Orange: p below .05; red: also after allowing for how many were looked "
            "at; triangles are bounds and point to where they allow the truth to be; hollow: the "
            "fit failed its gates. Right: by how much the number pulls the headline up or down."
        ),
    ),
    "sources": Caption(
        "Each source against all others",
        (
            "Left: what a source reports over what all others expect, with its 95 % interval; 1 "
            "is agreement. Colours as above. Right: by how much it pulls the headline up or down."
        ),
    ),
    "priors": Caption(
        "The answer under other priors",
        (
            "Each row is a prior, the one that moves the answer most on top; marks are the "
            "answer's median with that prior halved (‹) or doubled (›). The band is the 95 % "
            "interval with the priors as they are; a median beyond a dotted line has moved by "
            "more than a quarter of it."
        ),
    ),
    "hide-a-list": Caption(
        "Lists of known size, predicted by the other lists",
        (
            "Predicted over known size: 1 is right, left of it too low. Thin lines are 95 % "
            "intervals, thick ones 50 %; hollow marks are sets without probability. Orange: the "
            "interval misses the known size."
        ),
    ),
    "tipping": Caption(
        "The answer along each assumption",
        (
            "Each curve is the answer (its median) if one assumption is changed and all else left; "
            "a shaded band is its 95 % interval. Dashed lines are the sizes asked about, and a "
            "point on them is what would have to be true. Grey: 1, no error or no dependence. "
            "All scales are logarithmic."
        ),
    ),
}
