"""The options of supervised learning: the tasks, their examples, and the model."""

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from maml_rl.schema.bounds import Count, Known, Within
from maml_rl.schema.fields import Mark
from maml_rl.supervised.catalogue import DATA_SETS
from maml_rl.supervised.omniglot import OmniglotSplit
from maml_rl.supervised.picture_array import Colour, PictureSize


@dataclass(frozen=True)
class DataOptions:
    """Options of runs with --data."""

    data: Annotated[str, Mark.SHARED, Mark.FREE_ON_RESUME, Known(lambda: DATA_SETS, or_file=True)] = "sinusoid"
    """Data set: sinusoid, omniglot, or a folder that has a folder of pictures for each class (docs/supervised.md)."""
    classes: Annotated[str, tyro.conf.Suppress, Mark.FREE_ON_RESUME, Mark.SAME_EXPERIMENT] = ""
    """A digest of the classes of a folder, split by split, that the run learns from; written by the run."""
    omniglot_split: Annotated[OmniglotSplit, Mark.SHARED] = "finn"
    """Omniglot's characters to train on, to validate and to test: 1,100, 100 and 423 as Finn et al. 2017 drew them, or
    1,028, 172 and 423 by the list of Vinyals et al. 2016, each turned by 90, 180, 270 degrees a class of its own."""
    ways: Annotated[int, Within(2, 10_000), Mark.SHARED] = 5
    """Classes of a task of classification (N)."""
    shots: Count = 10
    """Examples that a task is learned from, its support set; of a classification, of each class (K)."""
    queries: Annotated[int, Within(0, 1_000_000)] = 0
    """Examples that show whether it was learned, the query set; of each class. 0 takes as many as shots."""
    train_ways: Annotated[int, Within(0, 10_000)] = 0
    """Ways in training, of algorithms that compare embeddings; 0 takes as many as ways."""
    train_shots: Annotated[int, Within(0, 1_000_000)] = 0
    """Shots in training; 0 takes as many as shots."""
    inner_batch: Annotated[int, Within(0, 1_000_000)] = 0
    """Examples of the support set that an inner step sees, the next ones in each step; 0 takes all."""
    eval_inner_batch: Annotated[int, Within(0, 1_000_000)] = 0
    """The same in evaluation."""
    eval_steps: Annotated[int, Within(0, 1000)] = 3
    """Gradient steps that an evaluation takes on each task."""
    transductive: bool = True
    """Whether batch normalisation in evaluation takes the statistics of all queries of a task at once; if not, those of
    its support set and a single query (Nichol et al. 2018). Of a model without it nothing changes."""
    network: Literal["conv", "mlp"] = "conv"
    """Model of pictures: convolutions, or fully connected layers; both with batch normalisation (Finn et al. 2017)."""
    filters: Annotated[int, Within(1, 10_000)] = 64
    """Filters of each convolution."""
    blocks: Annotated[int, Within(1, 10)] = 4
    """Convolutions, each of which halves the picture."""
    halved_by: Literal["stride", "max_pool"] = "stride"
    """What halves it: the convolution's stride, or a maximum over 2 x 2 places behind it."""
    features: Literal["mean", "flat"] = "mean"
    """What the linear layer sees of the last block: each filter's mean over the places, or all places."""
    hidden_sizes: tuple[Annotated[int, Within(1, 10_000)], ...] = (40, 40)
    """Widths of the hidden layers of a regression's model, and of the network mlp."""
    nonlinearity: Literal["relu", "tanh"] = "relu"
    """Nonlinearity of the hidden layers of a regression's model."""
    init_std: Annotated[float, Within(0)] = 0.0
    """Standard deviation of initial weights, of the network conv those of its linear layer alone. 0 takes the size that
    learns best: Xavier's, or 0.01 with the network mlp."""
    picture_size: Annotated[PictureSize, Mark.SHARED] = 28
    """Height and width to which the pictures of a folder are brought, pixels."""
    picture_colour: Annotated[Colour, Mark.SHARED] = "grey"
    """Whether the pictures of a folder are learned in grey, or in rgb."""
    validation_tasks: Count = 200
    """Tasks of a validation, and of TensorBoard's figure of the last model."""
    metrics_every: Count = 10
    """Iterations between rows of metrics, each of its own iteration. The last iteration always gets one."""
