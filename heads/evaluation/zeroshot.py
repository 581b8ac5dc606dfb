"""Zero-shot: recognise classes by their texts alone."""

from framebank.heads.class_texts import ClassTexts
from framebank.heads.classifiers.text import TextClassifier
from framebank.heads.model import Model
from framebank.heads.temporal.mean import Mean
from framebank.store.prompts import PromptBank


def zero_shot_model(prompts: PromptBank, *, scoring: str, frame_norm: bool = True) -> Model:
    """Return a model of mean pooling and the cosine to the class texts. Nothing is trained.

    `scoring` is "probabilities", the mean over templates of the softmax (ActionCLIP's test, arXiv 2109.08472), or
    "embeddings", the softmax over mean unit embeddings (as in CLIP, arXiv 2103.00020). The logit scale is the
    encoder's. ActionCLIP's test takes 100, which is also the scale of OpenAI's encoders.
    """
    dim = prompts.encoder.dim
    classifier = TextClassifier(dim, len(prompts.labels), ClassTexts.of(prompts, scoring=scoring))
    return Model(Mean(dim), classifier, frame_norm=frame_norm).eval()
