"""Readers of lists, tables and other texts."""

import json
import tarfile
from pathlib import Path

from framebank.extract.prompts import read_templates
from framebank.heads.evaluation.named import PROTOCOLS, read_protocol
from framebank.store import LabelSet
from framebank.store.spans.files import read_spans
from framebank.store.videos.class_splits import read_class_splits
from framebank.store.videos.inputs import read_videos
from framebank.store.videos.lists import read_list
from framebank.tests.fuzz.readers.reader import Reader, of_file, text_file


def _tar_of_clips(folder: Path) -> None:
    with tarfile.open(folder / "0.tar", "w") as tar:
        for name, text in {
            "a/1.mp4": "not a video",
            "a/1.json": '{"label": "run"}',
            "b.mp4": "x",
            "b.cls": "3",
        }.items():
            path = folder / "member"
            path.write_text(text)
            tar.add(path, arcname=name)
            path.unlink()


LABELS_JSON = json.dumps({"run": ["a person runs", "somebody is running"], "walk": "a person walks", "sit": []})
LABELS_CSV = "id,name\n0,run\n1,walk\n2,sit down\n"
UCF = "".join(
    f"{name}/v_{name}_g01_c0{n}.avi {number}\n" for number, name in enumerate(("Run", "Sit"), 1) for n in (1, 2)
)
KINETICS = "label,youtube_id,time_start,time_end,split\n" + "".join(
    f"riding a bike,{'abcdefghij'[n]}x9-_4567890,{n},{n + 10},train\n" for n in range(5)
)
SOMETHING = json.dumps([{"id": f"{n}", "label": f"pushing {n}", "template": "Pushing [something]"} for n in range(5)])
CHARADES = (
    "id,subject,actions,length\n46GP8,HR43,c092 11.90 21.20;c147 0.00 12.60,24.83\nN11GT,0KZ7,c098 1.0 2.0,18.3\n"
)
VIDEOS = "video_id,path,label,split,start,end,group\n" + "".join(
    f"v{n},v/{n}.mp4,run,train,{n}.5,{n + 2}.25,g{n}\n" for n in range(5)
)
SPLITS_JSON = json.dumps({"run": "train", "walk": "train", "sit": "val", "stand": "test", "jump": "test"})
SPLITS_CSV = "class,split\nrun,train\nwalk,train\nsit,val\njump,test\n"
SPANS = "video_id,start,end,label,score,source\n" + "".join(
    f"v{n},{n}.5,{n + 2}.25,run,0.{n}5,hand\n" for n in range(5)
)
SPANS_JSON = json.dumps(
    {
        "spans": [
            {"video_id": f"v{n}", "start": n + 0.5, "end": n + 2.25, "label": "run", "score": 0.5} for n in range(5)
        ]
    }
)
SCENES = "Timecode List:,00:00:02.000\nScene Number,Start Time (seconds),End Time (seconds)\n" + "".join(
    f"{n},{2 * n}.000,{2 * n + 2}.000\n" for n in range(5)
)
TEMPLATES = "a video of a person {}\na person is {}\n{}\n"
PROTOCOL = (PROTOCOLS / "ucf101.toml").read_text(encoding="utf-8")


LISTS: dict[str, Reader] = {
    "labels, JSON": Reader(text_file("labels.json", LABELS_JSON), "labels.json", of_file("labels.json", LabelSet.read)),
    "labels, CSV": Reader(text_file("labels.csv", LABELS_CSV), "labels.csv", of_file("labels.csv", LabelSet.read)),
    "labels, lines": Reader(text_file("labels.txt", "run\nwalk\n"), "labels.txt", of_file("labels.txt", LabelSet.read)),
    "list of UCF101": Reader(text_file("trainlist01.txt", UCF), "*.txt", of_file("trainlist01.txt", read_list)),
    "list of Kinetics": Reader(text_file("train.csv", KINETICS), "train.csv", of_file("train.csv", read_list)),
    "list of Something": Reader(text_file("train.json", SOMETHING), "train.json", of_file("train.json", read_list)),
    "list of Charades": Reader(
        text_file("Charades_v1_train.csv", CHARADES), "*.csv", lambda f: read_list(*f.iterdir())
    ),
    "list of videos": Reader(text_file("videos.csv", VIDEOS), "videos.csv", lambda f: read_videos([f / "videos.csv"])),
    "spans, CSV": Reader(text_file("spans.csv", SPANS), "spans.csv", of_file("spans.csv", read_spans)),
    "spans, JSON": Reader(text_file("spans.json", SPANS_JSON), "spans.json", of_file("spans.json", read_spans)),
    "scenes": Reader(text_file("s.csv", SCENES), "s.csv", lambda f: read_spans(f / "s.csv", video_id="v")),
    "protocol": Reader(text_file("p.toml", PROTOCOL), "p.toml", of_file("p.toml", read_protocol)),
    "templates": Reader(text_file("t.txt", TEMPLATES), "t.txt", lambda f: read_templates(str(f / "t.txt"))),
    "class splits, JSON": Reader(
        text_file("s.json", SPLITS_JSON), "s.json", lambda f: read_class_splits([f / "s.json"])
    ),
    "class splits, CSV": Reader(text_file("s.csv", SPLITS_CSV), "s.csv", lambda f: read_class_splits([f / "s.csv"])),
    "tars of videos": Reader(_tar_of_clips, "0.tar", lambda f: read_videos([f / "0.tar"])),
}
