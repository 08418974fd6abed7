"""What ML Metadata know after a rollback; tests/e2e/test_spans.py has one of a whole run."""

from __future__ import annotations

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from components.pusher import rollback, versions
from pipeline import rolling_back
from tests.components.pusher.test_push import make
from tests.pipeline.test_cleaning import Metadata
from word2vec.errors import UserError


class World:
    """Three versions, each of a blessed model, which was blocked before by a stricter gate."""

    def __init__(self, folder):
        self.folder, self.pushed = folder, folder / "pushed"
        self.metadata = Metadata(folder)
        for kind in ("pipeline", "node"):
            self.metadata.store.put_context_type(mlmd.ContextType(name=kind))
        self._models = []
        for number, name in enumerate((b"good", b"less good", b"bad"), 1):
            make(self.pushed / str(number), fingerprint__pb=name)
            run = self.metadata.run(f"run_{number}")
            model = self.metadata.artifact("Model", f"{number}")
            for blessed in (0, 1):
                made = self.metadata.artifact(
                    "ModelBlessing", f"{number}-{blessed}", blessed=blessed, current_model_id=model.id
                )
                self.metadata.execute(run, {"model": model}, {"blessing": made})
            pushed = self.metadata.artifact("PushedModel", f"{number}", pushed_version=f"{number}", pushed=1)
            self.metadata.execute(run, {"model": model}, {"pushed": pushed})
            self._models.append(model.id)

    def go_back(self, version):
        return rolling_back.roll_back(str(self.folder), str(self.pushed), "tiny", version).version

    def blessings(self):
        """Of each model: (blessed, withdrawn) of the blocked evaluation, and of the blessed one."""
        found = [[], [], []]
        for blessing in sorted(self.metadata.store.get_artifacts_by_type("ModelBlessing"), key=lambda each: each.id):
            properties = {key: value.int_value for key, value in blessing.custom_properties.items()}
            place = self._models.index(properties["current_model_id"])
            found[place].append((properties["blessed"], properties.get("rolled_back", 0)))
        return [tuple(each) for each in found]


STANDS, WITHDRAWN = ((0, 0), (1, 0)), ((0, 0), (0, 1))


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_the_later_ones_are_blessed_no_more_and_a_blocked_one_is_not_blessed(world):
    world.go_back("1")
    assert world.blessings() == [STANDS, WITHDRAWN, WITHDRAWN]
    world.go_back("2")  # what took the place of 1 is withdrawn in its turn
    assert world.blessings() == [WITHDRAWN, STANDS, WITHDRAWN]


def test_a_rollback_that_was_killed_is_finished_by_the_same_command(world):
    copy = rollback.to(str(world.pushed), "1").version  # and then it was killed
    assert world.blessings() == [STANDS, STANDS, STANDS]
    assert world.go_back("1") == copy
    assert world.blessings() == [STANDS, WITHDRAWN, WITHDRAWN]
    with pytest.raises(UserError, match="this model is what is served"):
        world.go_back("1")
    assert len(versions.find(str(world.pushed))) == 4


def test_one_may_go_back_to_what_took_anothers_place(world):
    first = world.go_back("1")
    world.go_back("2")
    world.go_back(first)
    assert world.blessings() == [STANDS, WITHDRAWN, WITHDRAWN]


def test_a_version_without_its_weights_cannot_be_served(world):
    (world.pushed / "1" / "variables" / "variables.index").unlink()
    with pytest.raises(UserError, match="has lost its weights"):
        world.go_back("1")
    assert world.blessings() == [STANDS, STANDS, STANDS]
