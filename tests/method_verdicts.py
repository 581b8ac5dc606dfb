"""What is said of each method in docs/methods.md: equal to its authors' code or not, how far apart, and why."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from framebank.heads import CLASSIFIERS, HEADS, LOSSES, MATCHERS, SCORERS, TEXTS
from framebank.tests.worlds.published import classifiers, heads, losses, matchers, parts
from framebank.tests.worlds.published.regression import logistic_regression

DICTS: dict[str, dict[str, Callable[..., nn.Module]]] = {
    "head": HEADS,
    "classifier": CLASSIFIERS,
    "scorer": SCORERS,
    "text": TEXTS,
    "loss": LOSSES,
    "matcher": MATCHERS,
}
EQUAL, DEPARTS, OURS = "equal", "departs", "our reading"
OWN = "no published method of video"


@dataclass(frozen=True)
class Verdict:
    """`verdict` on a method; `code` is the repository, `difference` what it is at most, `apart` measures it."""

    verdict: str
    code: str = ""
    difference: float | None = None
    said: str = ""
    apart: Callable[[], float] | None = None


def equal(code: str, difference: float, apart: Callable[[], float], said: str = "") -> Verdict:
    return Verdict(EQUAL, code, difference, said, apart)


def departs(code: str, said: str, difference: float | None = None, apart: Callable[[], float] | None = None) -> Verdict:
    return Verdict(DEPARTS, code, difference, said, apart)


def ours(said: str) -> Verdict:
    return Verdict(OURS, "none", None, said)


ACTIONCLIP, BIKE, HYRSM = "sallymmx/ActionCLIP", "whwu95/BIKE", "alibaba-mmai-research/HyRSMPlusPlus"
FSAR, TIP, TEMPORAL = "alibaba-mmai-research/CLIP-FSAR", "gaopengcuhk/Tip-Adapter", "jbertrand89/temporal_matching"

VERDICTS: dict[tuple[str, str], Verdict] = {
    ("head", "mean"): equal(ACTIONCLIP, 1e-7, lambda: heads.head("mean", lambda _, x: x.mean(1))),
    ("head", "conv1d"): equal(
        ACTIONCLIP,
        1e-6,
        lambda: heads.head("conv1d", heads.actionclip_conv1d),
        "with the axes as the paper has them; `legacy_axes` gives the code's, which mixes time and channels",
    ),
    ("head", "shift"): ours("TSM shifts channels inside a network; here it shifts embeddings"),
    ("head", "tcn"): ours("MS-TCN's layers, on few frames and followed by their mean"),
    ("head", "lstm"): equal(ACTIONCLIP, 1e-6, lambda: heads.head("lstm", heads.actionclip_lstm)),
    ("head", "gru"): ours("a GRU in the place of ActionCLIP's LSTM"),
    ("head", "transformer"): equal(
        ACTIONCLIP,
        5e-6,
        lambda: heads.head("transformer", lambda h, x: (x + parts.over_frames(h, x, 2)).mean(1)),
        "positions start as long as a unit frame, in the code at 0.02; on RN50 8 attention heads, as there",
    ),
    ("head", "transformer-cls"): equal(
        ACTIONCLIP, 5e-6, lambda: heads.head("transformer-cls", heads.actionclip_transformer_cls)
    ),
    ("head", "attentive"): equal(
        "facebookresearch/jepa, vjepa2",
        1e-6,
        lambda: heads.head("attentive", heads.v_jepa_pooler, positions=False),
        "without `positions`, which are on by default: frozen frames do not know their time",
    ),
    ("head", "mit"): equal(
        "microsoft/VideoX",
        1e-6,
        lambda: heads.head("mit", lambda h, x: (x + parts.over_frames(h, x, 2)).mean(1)),
        "its block starts as the identity, in the code as drawn",
    ),
    ("head", "a5"): equal(
        "ju-chen/Efficient-Prompt", 1e-6, lambda: heads.head("a5", lambda h, x: parts.over_frames(h, x, 8).mean(1))
    ),
    ("head", "vivit"): ours("ViViT's temporal encoder after a frozen image tower; the mean is read, not a class token"),
    ("head", "m2clip"): equal("sallymmx/m2clip", 1e-6, lambda: heads.head("m2clip", heads.m2clip_adapter)),
    ("head", "ted"): ours("the published TED-Adapter is inside the image tower, on patches"),
    ("head", "sloshnet"): departs(
        "jiazheng-xing/SloshNet", "a frame is one token; the code mixes axes in its long-term part, here they are right"
    ),
    ("head", "sloshnet-layers"): departs(
        "jiazheng-xing/SloshNet", "weights of the layers of a transformer, for a search over the stages of a ResNet"
    ),
    ("classifier", "text"): equal(
        "openai/CLIP; " + ACTIONCLIP, 1e-6, lambda: max(classifiers.zero_shot(), classifiers.actionclip_test())
    ),
    ("classifier", "linear"): ours(OWN + ": a linear layer, its input at a root mean square of one"),
    ("classifier", "text-linear"): equal("whwu95/Text4Vis", 1e-6, classifiers.text4vis),
    ("classifier", "lda"): departs(
        "whwu95/Text4Vis",
        "fitted to all training videos with a covariance shrunk as Ledoit and Wolf; there to 60 a class",
    ),
    ("classifier", "ridge"): ours(OWN + ": regularised least squares"),
    ("classifier", "logistic"): equal(
        "scikit-learn, as embeddings-benchmark/mteb calls it",
        1e-6,
        logistic_regression,
        "at its minimum, on unit embeddings; MTEB stops after 100 iterations",
    ),
    ("classifier", "knn"): equal(
        "twelvelabs-io/video-embeddings-evaluation-framework",
        1e-6,
        classifiers.twlv_knn,
        "of one clip; of several the shares of the votes are averaged, there the votes are added",
    ),
    ("classifier", "tip-adapter"): equal(
        TIP,
        1e-6,
        lambda: classifiers.tip_adapter("tip-adapter"),
        "one wide grid, which includes zero-shot, is searched, by folds where there are no validation videos; views "
        "are stored ones, not ten random crops",
    ),
    ("classifier", "tip-adapter-f"): equal(
        TIP,
        1e-6,
        lambda: classifiers.tip_adapter("tip-adapter-f"),
        "alpha and beta are searched before the training, there after it; the test videos choose nothing",
    ),
    ("scorer", "vcs"): equal(
        BIKE,
        5e-6,
        lambda: max(classifiers.bike_scorer(), classifiers.bike_under_the_transformer()),
        "words are whole texts unless `words` is tokens, and then those between start and end; there all 77 places",
    ),
    ("scorer", "x-clip"): equal(
        "microsoft/VideoX", 1e-5, classifiers.x_clip, "frames stand for the patches, which a bank may lack"
    ),
    ("scorer", "semantic-units"): ours("of the abstract of SU; no code was found"),
    ("scorer", "descriptions"): ours(OWN + ": descriptions against the video and its frames"),
    ("scorer", "attributes"): departs(
        "OldStone0124/Knowledge-Prompting-for-FSAR", "one temporal convolution and a share of the cosine, as BIKE fuses"
    ),
    ("text", "fixed"): ours(OWN + ": nothing is learned"),
    ("text", "residual"): equal("geekyutao/TaskRes", 1e-7, classifiers.task_res, "without its enhanced base"),
    ("text", "adapter"): equal("gaopengcuhk/CLIP-Adapter", 1e-6, classifiers.clip_adapter, "of the text side"),
    ("text", "context"): equal(
        "KaiyangZhou/CoOp; ju-chen/Efficient-Prompt",
        1e-6,
        lambda: max(classifiers.coop(), classifiers.a5_prompts()),
        "A5's with `by_position`, without `stop`, noise of 0.01",
    ),
    ("loss", "kl"): equal(ACTIONCLIP, 1e-6, losses.actionclip_kl),
    ("loss", "contrastive"): ours(OWN + ": InfoNCE, in which videos of one class are no negatives"),
    ("loss", "ce"): ours(OWN + ": cross-entropy"),
    ("loss", "weighted-ce"): ours(OWN + ": cross-entropy"),
    ("loss", "softmax-ce"): equal(
        "sallymmx/m2clip", 1e-6, losses.softmax_ce, "the scale of the cosines is CLIP's and stays, as there"
    ),
    ("loss", "video-ce"): departs(
        "sallymmx/m2clip", "reads what the head gives; there the tokens before the tower's projection, with dropout"
    ),
    ("loss", "supcon"): ours(OWN + ": supervised contrastive learning without its projection"),
    ("loss", "masked-text"): departs(
        "sallymmx/m2clip", "hides whole texts, a bank has no words; the published script has it switched off"
    ),
    ("loss", "bce"): ours(OWN + ": binary cross-entropy"),
    ("loss", "soft-kl"): ours(OWN + ": Kullback-Leibler divergence from several labels"),
    ("loss", "froster"): equal("Visual-AI/FROSTER", 1e-6, losses.froster, "of the pooled video; there of each frame"),
    ("loss", "consistency"): ours(OWN + ": the head held to the mean"),
    ("loss", "diversity"): ours("of the abstract of T2L; the formula was not found"),
    ("matcher", "mean"): ours("the prototype of Snell et al.; temporal_matching averages cosines of frames"),
    ("matcher", "max"): equal(
        TEMPORAL, 1e-6, lambda: matchers.matcher("max", matchers.largest), "of one similarity for each pair of videos"
    ),
    ("matcher", "diagonal"): equal(
        TEMPORAL, 1e-6, lambda: matchers.matcher("diagonal", matchers.diagonal), "of equal lengths"
    ),
    ("matcher", "linear"): departs(TEMPORAL, "starts as the diagonal and stretches to other lengths"),
    ("matcher", "otam"): equal(
        "tobyperrett/trx; " + FSAR, 1e-6, lambda: matchers.matcher("otam", lambda _, q, s, t: matchers.otam(q, s, 0.1))
    ),
    ("matcher", "bi-mhm"): equal(
        HYRSM, 1e-6, lambda: matchers.matcher("bi-mhm", lambda _, q, s, t: matchers.hausdorff(q, s))
    ),
    ("matcher", "chamfer"): equal(
        TEMPORAL, 1e-6, lambda: matchers.matcher("chamfer", lambda _, q, s, t: matchers.chamfer(q, s))
    ),
    ("matcher", "chamfer++"): departs(TEMPORAL, "without its trained projection of tuples"),
    ("matcher", "tuple"): ours("TRX's tuples with nothing learned"),
    ("matcher", "text"): ours("zero-shot among the classes of an episode"),
    ("matcher", "combine"): equal(FSAR, 1e-5, lambda: matchers.matcher("combine", matchers.combine), "at 8 frames"),
    ("matcher", "ridge"): ours("R2-D2's regression on frozen embeddings, with settings of ours"),
    ("matcher", "linear-probe"): ours("logistic regression on the support, with settings of ours"),
    ("matcher", "tip-adapter"): equal(
        TIP, 1e-6, lambda: matchers.matcher("tip-adapter", matchers.tip_adapter_of_an_episode), "nothing is searched"
    ),
    ("matcher", "text-residual"): departs(
        "geekyutao/TaskRes", "fitted to the support of one episode, by steps of ours"
    ),
    ("matcher", "trx"): equal("tobyperrett/trx", 1e-6, lambda: matchers.matcher("trx", matchers.trx)),
    ("matcher", "hyrsm"): equal(
        HYRSM,
        1e-6,
        lambda: matchers.matcher("hyrsm", matchers.hyrsm),
        "in training it drops no attention weight between videos",
    ),
    ("matcher", "hyrsm++"): equal(
        HYRSM,
        1e-6,
        lambda: max(matchers.matcher("hyrsm++", matchers.hyrsm_plus_plus), matchers.coherence()),
        "settings of HMDB51; in training it drops no attention weight between videos",
    ),
    ("matcher", "clip-fsar"): equal(
        FSAR, 1e-5, lambda: matchers.matcher("clip-fsar", matchers.clip_fsar), "the encoder and the texts are frozen"
    ),
    ("matcher", "ma-clip"): ours("of the abstract of MA-CLIP; no code was found"),
    ("matcher", "gghm"): ours("of the abstract of GgHM; its repository says that code will come"),
    ("matcher", "sloshnet"): equal(
        "jiazheng-xing/SloshNet",
        1e-6,
        lambda: matchers.matcher("sloshnet", matchers.sloshnet),
        "of its head on frames of one token; the search over feature maps is left out",
    ),
}


def table() -> str:
    """Return the table of docs/methods.md."""
    rows = ["| method | verdict | authors' code | differs by at most | what there is to say |", "|---|---|---|---|---|"]
    for (what, name), verdict in VERDICTS.items():
        far = f"{verdict.difference:.0e}" if verdict.difference is not None else ""
        rows.append(f"| {what} `{name}` | {verdict.verdict} | {verdict.code} | {far} | {verdict.said} |")
    return "\n".join(rows)
