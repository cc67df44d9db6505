"""What `detect evaluate` shows of an evaluation."""

import torch

from convae_zoo.data import ImageSet
from convae_zoo.evaluation.detection import AlarmRate, DetectionMetrics
from convae_zoo.tasks.detect.evaluate import Detection, examples, worst_misses


def detection(scores, anomalous):
    return Detection(
        dataset="made",
        split="test",
        threshold=5.0,
        rate=0.1,
        alarms=AlarmRate(observed=0.0, expected=0.1, likely=(0.0, 0.3)),
        detector=DetectionMetrics(auroc=1.0, average_precision=1.0),
        baselines={},
        scores=torch.tensor(scores).double(),
        anomalous=torch.tensor(anomalous),
        maps=None,
    )


def test_examples_are_of_all_classes_in_turn():
    for labels, expected in (([0, 0, 0, 2, 2, 5], [0, 3, 5, 1, 4]), ([1, 0], [1, 0])):
        images = torch.zeros(len(labels), 1, 2, 2, dtype=torch.uint8)
        given = ImageSet(name="x", split="test", images=images, labels=torch.tensor(labels))
        assert examples(given, 5).tolist() == expected


def test_the_worst_misses_are_the_lowest_anomalies_and_the_highest_normal_images():
    found = detection([9.0, 1, 4, 2, 8, 3], [True, True, True, False, False, False])
    assert worst_misses(found, 4).tolist() == [1, 2, 4, 5]


def test_where_one_kind_is_rare_the_other_takes_its_place():
    found = detection([9.0, 1, 4, 2], [True, True, True, False])
    assert worst_misses(found, 4).tolist() == [1, 2, 0, 3]
    found = detection([9.0, 1, 4, 2], [True, False, False, False])
    assert worst_misses(found, 4).tolist() == [0, 2, 3, 1]
    assert len(worst_misses(found, 10)) == 4
