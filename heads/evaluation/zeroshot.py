"""Zero-shot: recognise classes by their texts alone."""

from framebank.heads.class_texts import ClassTexts
from framebank.heads.classifiers.text import TextClassifier
from framebank.heads.model import Model
from framebank.heads.temporal.mean import Mean
from framebank.store.prompts import PromptBank

TINY = 1e-9  # in place of a threshold of 0, which would mean that there is none


def zero_shot_model(prompts: PromptBank, *, scoring: str, frame_norm: bool = True) -> Model:
    """Return a model of mean pooling and the cosine to the class texts. Nothing is trained.

    `scoring` is "probabilities", the mean over templates of the softmax (ActionCLIP's test, arXiv 2109.08472), or
    "embeddings", the softmax over mean unit embeddings (as in CLIP, arXiv 2103.00020). The logit scale is the
    encoder's. ActionCLIP's test takes 100, which is also the scale of OpenAI's encoders.

    An encoder that was trained with a sigmoid (SigLIP, arXiv 2303.15343) has a bias too. Its logits are averaged over
    templates, with the bias in them, so that the sigmoid of a score is the probability that the text fits.
    """
    dim = prompts.encoder.dim
    texts = ClassTexts.of(prompts, scoring=scoring)
    threshold = 0.0 if texts.threshold is None else texts.threshold or TINY
    classifier = TextClassifier(dim, len(prompts.labels), texts, threshold=threshold)
    return Model(Mean(dim), classifier, frame_norm=frame_norm).eval()
