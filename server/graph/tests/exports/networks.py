"""Networks that make.py exports: small ones of the usual kinds, with random weights."""

import torch
import transformers
from torch import nn
from torch.nn import functional


class Apply(nn.Module):
    """A network and what is taken of its answer; one input, or two, or three."""

    def __init__(self, inner, take):
        super().__init__()
        self.inner, self.take = inner, take


class OneInput(Apply):
    def forward(self, a):
        return self.take(self.inner, a)


class TwoInputs(Apply):
    def forward(self, a, b):
        return self.take(self.inner, a, b)


class ThreeInputs(Apply):
    def forward(self, a, b, c):
        return self.take(self.inner, a, b, c)


SMALL = {
    "vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32,
    "max_position_embeddings": 40,
}
PATCHES = {
    "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "image_size": 32,
    "patch_size": 8,
}


def build(kind, config, attention="eager"):
    torch.manual_seed(0)
    config._attn_implementation = attention
    return getattr(transformers, kind)(config)


def bert(attention="eager"):
    inner = build("BertModel", transformers.BertConfig(**SMALL), attention)
    return ThreeInputs(inner, lambda m, ids, mask, types: tuple(m(ids, mask, types)[:2]))


def transformer(name):
    t = transformers
    if name == "vit":
        return OneInput(build("ViTForImageClassification", t.ViTConfig(**PATCHES)), lambda m, p: m(p).logits)
    if name == "swin":
        config = t.SwinConfig(image_size=32, patch_size=2, embed_dim=8, depths=[2], num_heads=[1], window_size=4)
        return OneInput(build("SwinForImageClassification", config), lambda m, p: m(p).logits)
    if name == "clip_image":
        config = t.CLIPVisionConfig(projection_dim=8, **PATCHES)
        return OneInput(build("CLIPVisionModelWithProjection", config), lambda m, p: m(p).image_embeds)
    if name == "clip_text":
        config = t.CLIPTextConfig(projection_dim=8, eos_token_id=59, **SMALL)
        return TwoInputs(build("CLIPTextModelWithProjection", config), lambda m, i, a: m(i, a).text_embeds)
    if name == "t5":
        config = t.T5Config(vocab_size=60, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
        return TwoInputs(build("T5EncoderModel", config), lambda m, i, a: m(i, a)[0])
    if name == "distilbert":
        config = t.DistilBertConfig(vocab_size=60, dim=16, n_layers=1, n_heads=2, hidden_dim=32, max_position_embeddings=40)
        return TwoInputs(build("DistilBertForSequenceClassification", config), lambda m, i, a: m(i, a).logits)
    if name == "roberta":
        config = t.RobertaConfig(**SMALL)
        return TwoInputs(build("RobertaForSequenceClassification", config), lambda m, i, a: m(i, a).logits)
    config = t.DebertaV2Config(relative_attention=True, pos_att_type=["p2c", "c2p"], position_buckets=8, **SMALL)
    return TwoInputs(build("DebertaV2Model", config), lambda m, i, a: m(i, a)[0])


class BertPooled(nn.Module):
    """A sentence's embedding: the mean of its tokens, of length 1."""

    def __init__(self):
        super().__init__()
        self.bert = build("BertModel", transformers.BertConfig(**SMALL))

    def forward(self, ids, mask, types):
        states, weights = self.bert(ids, mask, types)[0], mask.unsqueeze(-1).float()
        mean = (states * weights).sum(1) / weights.sum(1).clamp(min=1e-9)
        return functional.normalize(mean, p=2, dim=1)


class CausalDecoder(nn.Module):
    """A decoder without cache, with the mask in a buffer."""

    def __init__(self):
        super().__init__()
        self.tokens, self.places, self.norm = nn.Embedding(60, 16), nn.Embedding(40, 16), nn.LayerNorm(16)
        self.attention, self.project = nn.Linear(16, 48), nn.Linear(16, 16)
        self.widen, self.narrow, self.head = nn.Linear(16, 64), nn.Linear(64, 16), nn.Linear(16, 60)
        self.register_buffer("mask", torch.tril(torch.ones(40, 40)).view(1, 1, 40, 40))

    def forward(self, ids):
        batch, length = ids.size()
        x = self.tokens(ids) + self.places(torch.arange(0, length))
        query, key, value = (
            part.view(batch, length, 2, 8).transpose(1, 2) for part in self.attention(self.norm(x)).split(16, 2)
        )
        scores = (query @ key.transpose(-2, -1)) * 8**-0.5
        scores = scores.masked_fill(self.mask[:, :, :length, :length] == 0, float("-inf"))
        mixed = functional.softmax(scores, -1) @ value
        x = x + self.project(mixed.transpose(1, 2).contiguous().view(batch, length, 16))
        return self.head(x + self.narrow(functional.gelu(self.widen(self.norm(x)))))


class Pool(nn.Module):
    """One state for a text: of its last token, or the mean of the whole batch."""

    def __init__(self, how):
        super().__init__()
        self.tokens, self.how = nn.Embedding(60, 8), how

    def forward(self, ids, mask):
        states = self.tokens(ids)
        if self.how == "batch":
            return states.mean(1) - (states * mask.unsqueeze(-1)).mean((0, 1))
        last = (mask.sum(1) - 1).view(-1, 1, 1).expand(-1, 1, 8)
        return states.gather(1, last).squeeze(1)


class Recurrent(nn.Module):
    def __init__(self, kind, how="all", batch_first=True):
        super().__init__()
        self.tokens, self.how = nn.Embedding(60, 8), how
        self.inner, self.head = getattr(nn, kind)(8, 6, 2, batch_first=batch_first, bidirectional=True), nn.Linear(12, 3)

    def forward(self, ids):
        states, _ = self.inner(self.tokens(ids))
        return self.head(states if self.how == "all" else states[:, -1])


class Interactions(nn.Module):
    """Products of embeddings: within a row, or of every row with every other."""

    def __init__(self, others):
        super().__init__()
        self.tokens, self.others, self.head = nn.Embedding(60, 4), others, nn.Linear(3, 1)

    def forward(self, dense, sparse):
        left, right = self.tokens(dense), self.tokens(sparse)
        if self.others:
            return left.mean(1) @ right.mean(1).T
        vectors = torch.stack([left.mean(1), right.mean(1), right.amax(1)], 1)
        products = torch.bmm(vectors, vectors.transpose(1, 2))
        i, j = torch.tril_indices(3, 3, -1)
        return self.head(products[:, i, j]).squeeze(-1)


class EncoderBlock(nn.Module):
    """A linear layer, then the neighbours of a graph, the statistics of the batch, or noise."""

    def __init__(self, how):
        super().__init__()
        self.linear, self.how = nn.Linear(16, 16), how

    def forward(self, x, adjacency=None):
        x = self.linear(x)
        if self.how == "graph":
            return adjacency @ x
        if self.how == "statistics":
            return (x - x.mean(0, keepdim=True)) / (x.std(0, keepdim=True) + 1e-5)
        return x + torch.randn_like(x)


class Unflattened(nn.Module):
    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Linear(12288, 4), nn.Linear(4, 48)
        self.shape, self.last = nn.Unflatten(1, (3, 4, 4)), nn.ConvTranspose2d(3, 3, 2, 2)

    def forward(self, x):
        return self.last(self.shape(self.up(functional.relu(self.down(x.flatten(1))))))


class UNet(nn.Module):
    def __init__(self, up):
        super().__init__()
        self.up = up
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.second = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.GroupNorm(4, 16), nn.SiLU())
        self.transposed, self.reduce = nn.ConvTranspose2d(16, 8, 2, 2), nn.Conv2d(16, 8, 1)
        self.last = nn.Conv2d(16, 2, 3, padding=1)

    def forward(self, x):
        first = self.first(x)
        second = self.second(first)
        if self.up == "transposed":
            second = self.transposed(second)
        else:
            second = self.reduce(functional.interpolate(second, size=first.shape[2:], mode="nearest"))
        return torch.sigmoid(self.last(torch.cat([first, second], 1)))


class Yolo(nn.Module):
    """Two levels of features and the decoded boxes, as in version 5 (anchors) or 8 (distances)."""

    def __init__(self, version):
        super().__init__()
        self.version, channels = version, 27 if version == 5 else 68
        steps = [(3, 8), (8, 16), (16, 16)]
        self.stem = nn.Sequential(*(layer for a, b in steps for layer in (nn.Conv2d(a, b, 3, 2, 1), nn.SiLU())))
        self.down, self.pool = nn.Conv2d(16, 16, 3, 2, 1), nn.MaxPool2d(5, 1, 2)
        self.heads = nn.ModuleList([nn.Conv2d(16, channels, 1), nn.Conv2d(16, channels, 1)])
        self.distances = nn.Conv2d(16, 1, 1, bias=False)
        self.register_buffer("anchors", torch.rand(2, 1, 3, 1, 1, 2) * 32)

    def forward(self, x):
        near = self.stem(x)
        far = self.down(near)
        pooled = self.pool(far)
        far = far + self.pool(pooled)
        near = near + functional.interpolate(pooled, scale_factor=2.0, mode="nearest")
        levels = [head(features) for head, features in zip(self.heads, (near, far))]
        return self.by_anchors(levels) if self.version == 5 else self.by_distances(levels)

    def by_anchors(self, levels):
        boxes = []
        for number, level in enumerate(levels):
            batch, _, height, width = level.shape
            level = level.view(batch, 3, 9, height, width).permute(0, 1, 3, 4, 2).contiguous()
            y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
            grid = torch.stack((x, y), 2).expand(1, 3, height, width, 2) - 0.5
            centre, size, scores = level.sigmoid().split((2, 2, 5), 4)
            centre, size = (centre * 2 + grid) * 8 * (number + 1), (size * 2) ** 2 * self.anchors[number]
            boxes.append(torch.cat((centre, size, scores), 4).view(batch, 3 * width * height, 9))
        return torch.cat(boxes, 1)

    def by_distances(self, levels):
        batch = levels[0].shape[0]
        box, scores = torch.cat([level.view(batch, 68, -1) for level in levels], 2).split((64, 4), 1)
        _, _, places = box.shape
        box = self.distances(box.view(batch, 4, 16, places).transpose(2, 1).softmax(1)).view(batch, 4, places)
        points = []
        for level in levels:
            height, width = level.shape[2:]
            y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
            points.append(torch.stack((x, y), -1).view(-1, 2))
        points = torch.cat(points).transpose(0, 1).unsqueeze(0)
        before, after = box.chunk(2, 1)
        low, high = points - before, points + after
        return torch.cat((torch.cat(((low + high) / 2, high - low), 1) * 8, scores.sigmoid()), 1)
