"""GgHM: each of its parts against the formula, one node and one edge at a time."""

import pytest
import torch
import torch.nn.functional as F

from framebank.heads.matchers.gghm import DenseTemporal, EpisodeGraph, Gghm
from framebank.heads.matchers.task import EpisodeBatch, Truth
from framebank.tests.heads.matchers.test_matchers import build, episodes

pytestmark = pytest.mark.usefixtures("one_thread")

TRUTH = Truth(target=torch.tensor([[0, 3, 1]]), classes=torch.tensor([[5, 1, 0, 3]]))


@torch.no_grad()
def test_graph_against_its_formula():
    torch.manual_seed(0)
    graph = EpisodeGraph(12, num_layers=2).eval()
    classes, queries = torch.randn(1, 3, 12), torch.randn(1, 2, 12)
    nodes, edges = graph(classes, queries)
    for number in range(2):
        own = [*classes[0], queries[0, number]]
        chance = [0.5] * 3
        for layer in range(2):
            fresh = []
            for node in range(4):
                like = {3: chance[node]} if node < 3 else dict(enumerate(chance))
                unlike = (
                    dict.fromkeys(range(3), 1.0) | {3: 1 - chance[node]}
                    if node < 3
                    else {i: 1 - chance[i] for i in range(3)}
                )
                unlike.pop(node, None)
                means = [sum(w * own[i] for i, w in edge.items()) / sum(edge.values()) for edge in (like, unlike)]
                fresh.append(own[node] + graph.nodes[layer](torch.cat([own[node], *means])))
            own = fresh
            for i in range(3):
                factor = graph.edges[layer]((own[i] - own[3]).abs()).exp()
                odds = chance[i] / (1 - chance[i]) * float(factor)
                chance[i] = odds / (1 + odds)
                assert edges[0, number, layer, i].sigmoid() == pytest.approx(chance[i], rel=1e-4)
        torch.testing.assert_close(nodes[0, number], torch.stack(own), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_every_block_reads_all_that_came_before():
    torch.manual_seed(0)
    module, x = DenseTemporal(12, num_layers=2, num_heads=4).eval(), torch.randn(1, 5, 12)
    for mixture in module.mixtures:
        torch.nn.init.normal_(mixture)
    real = torch.ones(1, 5, dtype=torch.bool)
    first = module(x, real)[0]
    shares = [mixture.softmax(0) for mixture in module.mixtures]
    assert [len(share) for share in shares] == [2, 3]
    module.mixtures[1].copy_(torch.tensor([0.0, -1e9, -1e9]))  # of the result, the input alone
    placed = module(x, real)[0]
    one = module.blocks[0](placed, real)
    two = module.blocks[1](shares[0][0] * placed + shares[0][1] * one, real)
    torch.testing.assert_close(first, shares[1][0] * placed + shares[1][1] * one + shares[1][2] * two)
    assert (placed - x).abs().max() <= 0.1001


@torch.no_grad()
def test_scores_are_those_of_frames_and_of_pairs_in_their_shares():
    batch = episodes(1)
    scores = {}
    for share in (1.0, 0.0, 0.3):
        torch.manual_seed(0)
        scores[share] = Gghm(12, width=16, frame_share=share).eval()(*batch)
    torch.testing.assert_close(scores[0.3], 0.3 * scores[1.0] + 0.7 * scores[0.0])


@torch.no_grad()
def test_frames_are_matched_with_the_prototypes_that_a_query_sees():
    torch.manual_seed(0)
    matcher, (query, support, text, *masks) = Gghm(12, frame_share=1.0).eval(), episodes(1, shots=3)
    real = torch.ones(1, 6, dtype=torch.bool)
    prototypes = [
        torch.stack([matcher.temporal(video[None], real)[0][0] for video in videos]).mean(0) for videos in support[0]
    ]
    scores = matcher(query, support, text, *masks)
    for number, frames in enumerate(query[0]):
        frames = matcher.temporal(frames[None], real)[0][0]
        nodes, _ = matcher.graph(torch.stack([one.mean(0) for one in prototypes])[None], frames.mean(0)[None, None])
        asked = frames + matcher.join(nodes[0, 0, -1])
        for way, prototype in enumerate(prototypes):
            known = prototype + matcher.join(nodes[0, 0, way])
            distance = torch.tensor([[1 - a @ b / (a.norm() * b.norm() + 0.01) for b in known] for a in asked])
            expected = -distance.amin(1).sum() - distance.amin(0).sum()
            torch.testing.assert_close(scores[0, number, way], expected, rtol=1e-4, atol=1e-4)


def test_a_graph_without_layers_is_refused():
    with pytest.raises(ValueError, match="num_layers is 0"):
        Gghm(12, num_layers=0)


@torch.no_grad()
def test_edges_learn_from_the_labels():
    matcher, batch = build("gghm", shaken=True), episodes(1)
    query, support, _, *masks = batch
    losses = matcher.losses(EpisodeBatch(*batch, TRUTH))
    queries, _ = matcher.temporal(query, masks[0])
    supports, _ = matcher.temporal(support, masks[1])
    chance = matcher.graph(supports.mean((2, 3)), queries.mean(2))[1].sigmoid()  # (1, Q, L, N)
    like = F.one_hot(TRUTH.target, 4)[:, :, None].bool()
    expected = -torch.where(like, chance, 1 - chance).log().mean()
    torch.testing.assert_close(losses["edges"], 0.1 * expected)
