"""What a person looks at: every pixel where it belongs, every report whole in one file."""

import base64
import io
import json
import os
import re
from html.parser import HTMLParser

import pytest
import tiny
import torch
from PIL import Image, ImageSequence

from ddpm_ref.errors import UserError
from ddpm_ref.painting import load_painter
from ddpm_ref.pictures import (
    GAP,
    curves,
    encode,
    grid,
    save_animation,
    save_picture,
    stack,
    to_pil,
    zoom_for,
)
from ddpm_ref.report import progression, sample_grid, write_report
from ddpm_ref.runs import Run


def flat(*levels, size=4):
    """(N, 3, size, size): one flat grey picture for each level in [−1, 1]."""
    return torch.stack([torch.full((3, size, size), float(level)) for level in levels])


def pixels(picture):
    """(H, W, 3) integers."""
    raw = torch.frombuffer(bytearray(picture.convert("RGB").tobytes()), dtype=torch.uint8)
    return raw.reshape(picture.height, picture.width, 3).int()


def test_pixels_of_a_picture():
    x = torch.zeros(3, 2, 3)
    x[0, 0, 1], x[1, 1, 2], x[2] = 1.0, 5.0, -7.0
    picture = to_pil(x)
    assert picture.size == (3, 2)  # width, height
    assert picture.getpixel((1, 0)) == (255, 128, 0)
    assert picture.getpixel((2, 1)) == (128, 255, 0)  # clamped


def test_one_channel_becomes_grey():
    assert to_pil(torch.full((1, 2, 2), -1.0)).getpixel((0, 0)) == (0, 0, 0)
    assert to_pil(torch.full((1, 2, 2), 0.2)).getpixel((1, 1)) == (153, 153, 153)


@pytest.mark.parametrize(("size", "zoom"), [(16, 4), (32, 2), (28, 2), (64, 1), (256, 1)])
def test_zoom(size, zoom):
    assert zoom_for(size) == zoom


def test_pictures_stand_in_rows():
    """Seven greys in rows of three, enlarged twice: looked up at the middle of each cell."""
    levels = [-1, -0.6, -0.2, 0.0, 0.2, 0.6, 0.9]
    sheet = grid(flat(*levels), columns=3, zoom=2)
    cell = 4 * 2 + GAP
    assert sheet.size == (3 * cell + GAP, 3 * cell + GAP)
    for k, level in enumerate(levels):
        x, y = GAP + k % 3 * cell + 4, GAP + k // 3 * cell + 4
        assert sheet.getpixel((x, y)) == (round((level + 1) * 127.5),) * 3
    assert sheet.getpixel((GAP + cell + 4, GAP + 2 * cell + 4)) == (255, 255, 255)  # no eighth


def test_enlarging_keeps_pixels_square_and_sharp():
    x = torch.full((1, 3, 2, 2), -1.0)
    x[0, :, 0, 1] = 1.0
    found = pixels(grid(x, columns=1, zoom=3))[GAP : GAP + 6, GAP : GAP + 6, 0]
    assert torch.equal(
        found, pixels(to_pil(x[0]))[..., 0].repeat_interleave(3, 0).repeat_interleave(3, 1)
    )


def test_titles_make_room_and_are_written():
    plain = grid(flat(0, 0), columns=2, zoom=16)
    titled = grid(flat(0, 0), columns=2, zoom=16, column_titles=["one", "two"], row_titles=["row"])
    left, top = titled.width - plain.width, titled.height - plain.height
    assert left > 0 and top > 0
    assert titled.crop((left, top, titled.width, titled.height)).tobytes() == plain.tobytes()
    for box in ((left, 0, titled.width, top), (0, top, left, titled.height)):
        assert pixels(titled.crop(box)).min() < 200  # ink


def test_stack():
    whole = stack([to_pil(flat(-1)[0]), to_pil(flat(0, size=8)[0])], ["first", "second"])
    assert whole.size == (8, 24 + 4 + 24 + 8)
    assert whole.getpixel((1, 25)) == (0, 0, 0)
    assert whole.getpixel((1, 24 + 4 + 24 + 1)) == (128, 128, 128)


@pytest.mark.parametrize(
    ("name", "kind"), [("a.png", "PNG"), ("a.jpg", "JPEG"), ("a.JPEG", "JPEG")]
)
def test_a_picture_is_saved_as_its_name_says(tmp_path, name, kind):
    save_picture(to_pil(flat(0.5, size=8)[0]), tmp_path / name)
    assert tiny.tree(tmp_path).keys() == {name}
    with Image.open(tmp_path / name) as picture:
        assert (picture.format, picture.size) == (kind, (8, 8))


@pytest.mark.parametrize("name", ["a.xyz", "a"])
def test_a_kind_of_picture_that_there_is_not(tmp_path, name):
    with pytest.raises(UserError, match=name):
        save_picture(to_pil(flat(0.5)[0]), tmp_path / name)
    assert tiny.tree(tmp_path) == {}


def test_an_animation_has_its_frames_and_rests_on_the_last(tmp_path):
    frames = [to_pil(x) for x in flat(-1, -0.5, 0, 0.5, 1, size=8)]
    save_animation(frames, tmp_path / "a.gif", seconds=1.0)
    with Image.open(tmp_path / "a.gif") as movie:
        shown = [
            (f.convert("RGB").getpixel((4, 4))[0], f.info["duration"])
            for f in ImageSequence.Iterator(movie)
        ]
        assert movie.info["loop"] == 0
    assert [level for level, _ in shown] == pytest.approx([0, 64, 128, 191, 255], abs=3)
    assert [duration for _, duration in shown[:4]] == [200] * 4
    assert shown[4][1] >= 1000


def test_curves_of_a_run_are_a_picture():
    rows = [
        {"images_seen": 100.0 * k, "train_loss": 1 / k, "val_loss": 1.1 / k}
        | {f"val_loss_t{b}": 1 / (k + b) for b in range(10)}
        for k in (1, 2, 3)
    ]
    picture = Image.open(io.BytesIO(curves(rows)))
    assert picture.format == "PNG"
    assert picture.width > 600
    assert curves(rows[:2]) != curves(rows)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports") / "a <b> & run"  # a name that HTML would trip over
    return tiny.make_run(folder, images=216)


@pytest.fixture(scope="module")
def painter(run):
    return load_painter(run.folder)


def test_samples_of_a_run_stand_a_column_a_class(painter):
    sheet = sample_grid(painter, rows=2, seed=0)
    cell = 16 * 4 + GAP
    assert sheet.width == 10 * cell + GAP
    assert 2 * cell < sheet.height < 3 * cell
    assert sheet.tobytes() == sample_grid(painter, rows=2, seed=0).tobytes()
    assert sheet.tobytes() != sample_grid(painter, rows=2, seed=1).tobytes()


def test_progression_shows_every_epoch(tmp_path, run):
    whole = progression(run)
    with Image.open(run.folder / "samples" / "epoch-0001.png") as first:
        assert whole.width == first.width * 3
        assert whole.height == 2 * (first.height * 3 + 24)
        top = first.convert("RGB").resize((whole.width, first.height * 3), Image.Resampling.NEAREST)
    assert whole.crop((0, 24, whole.width, 24 + top.height)).tobytes() == top.tobytes()


def test_progression_goes_by_the_number_of_the_epoch(tmp_path):
    run = Run.create(tmp_path / "run", tiny.CONFIG, ("a",), 24)
    for epoch, level in ((9999, -1), (10000, 1)):
        picture = to_pil(flat(level, size=16)[0])
        save_picture(picture, run.folder / "samples" / f"epoch-{epoch:04d}.png")
    assert [progression(run).getpixel((8, k * 72 + 48))[0] for k in range(2)] == [0, 255]


def test_progression_of_many_epochs_keeps_first_and_last(tmp_path):
    run = Run.create(tmp_path / "run", tiny.CONFIG, ("a",), 24)
    assert progression(run) is None
    for epoch in range(1, 31):
        level = epoch / 15 - 1
        save_picture(
            to_pil(flat(level, size=16)[0]), run.folder / "samples" / f"epoch-{epoch:04d}.png"
        )
    whole = progression(run)
    assert whole.height == 12 * (48 + 24)
    shown = [whole.getpixel((8, k * 72 + 48))[0] for k in range(12)]
    assert shown == sorted(set(shown))
    assert (shown[0], shown[-1]) == (round((1 / 15) * 127.5), 255)


class Page(HTMLParser):
    """What an HTML page says, shows, and refers to."""

    def __init__(self, text):
        super().__init__()
        self.text, self.references, self.tags = "", [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.references += [
            v for k, v in attributes if k in ("src", "href", "srcset", "data", "poster")
        ]

    def handle_data(self, data):
        self.text += data

    def pictures(self):
        kind = "data:image/png;base64,"
        assert all(reference.startswith(kind) for reference in self.references)
        return [
            Image.open(io.BytesIO(base64.b64decode(r.removeprefix(kind)))) for r in self.references
        ]


EVALUATION = {
    "n": 20,
    "class_accuracy": 0.75,
    "class_accuracy_guided": 0.95,
    "class_accuracies": {"circle": 0.5, "a<b": 1.0},
    "class_accuracies_guided": {"circle": 0.9, "a<b": 1.0},
    "frechet_distance": 12.345,
    "frechet_distance_guided": 6.789,
    "guidance_scale": 1.5,
    "judge_accuracy": 0.9975,
    "judge_n": 2000,
}


def test_a_report_is_whole_in_one_file(tmp_path, run, painter):
    (run.folder / "evaluation.json").write_text(json.dumps(EVALUATION))
    write_report(run, painter, tmp_path / "report.html")
    assert tiny.tree(tmp_path).keys() == {"report.html"}
    raw = (tmp_path / "report.html").read_text(encoding="utf-8")
    without_data = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", raw)
    assert not re.search(r"https?:|file:|//|url\(|@import", without_data)
    page = Page(raw)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert len(page.pictures()) == 3  # samples, progress, curves
    assert "a <b> & run" in page.text and "a <b>" not in raw
    assert run.about()["command"] in page.text
    assert '"images": 216' in page.text  # the recipe
    for score in ("75.0%", "95.0%", "50.0%", "12.3", "6.79", "99.75%", "2,000", "a<b"):
        assert score in page.text


def test_a_report_shows_the_samples_that_are_there(tmp_path, run, painter):
    picture = to_pil(flat(0.3, size=40)[0])
    save_picture(picture, run.folder / "samples.png")
    write_report(run, painter, tmp_path / "report.html")
    (run.folder / "samples.png").unlink()
    shown = Page((tmp_path / "report.html").read_text(encoding="utf-8")).pictures()
    assert picture.tobytes() in [p.convert("RGB").tobytes() for p in shown]


def test_a_report_of_a_run_that_went_on_shows_no_old_samples_and_tells_old_scores(tmp_path):
    run = tiny.make_run(tmp_path / "run")
    picture = to_pil(flat(0.3, size=40)[0])
    save_picture(picture, run.folder / "samples.png")
    os.utime(run.folder / "samples.png", (0, 0))  # of before the last checkpoint
    for seen, told in ((run.metrics()[-1]["images_seen"], False), (12, True)):
        scores = json.dumps(EVALUATION | {"images_seen": int(seen)})
        (run.folder / "evaluation.json").write_text(scores)
        write_report(run, load_painter(run.folder), tmp_path / "report.html")
        page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
        assert picture.tobytes() not in [p.convert("RGB").tobytes() for p in page.pictures()]
        assert ("Measured when 12 images had been seen" in page.text) == told


def test_a_report_of_a_run_without_scores(tmp_path):
    run = tiny.make_run(tmp_path / "run")
    write_report(run, load_painter(run.folder), tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert len(page.pictures()) == 3
    assert "held-out" not in page.text and "Fréchet" not in page.text


def test_a_report_of_one_way_of_drawing(tmp_path, painter):
    """An evaluation without guidance has one column of scores."""
    run = tiny.make_run(tmp_path / "run")
    plain = {k: v for k, v in EVALUATION.items() if "guid" not in k}
    (run.folder / "evaluation.json").write_text(json.dumps(plain))
    write_report(run, painter, tmp_path / "report.html")
    text = Page((tmp_path / "report.html").read_text(encoding="utf-8")).text
    assert "75.0%" in text and "95.0%" not in text


def test_encode_is_the_same_each_time():
    picture = to_pil(flat(0.1)[0])
    assert encode(picture) == encode(picture)
    assert encode(picture)[:4] == b"\x89PNG"
