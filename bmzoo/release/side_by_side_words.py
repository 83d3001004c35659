"""What stands on the page of published tables: headings and sentences by key, in English and in Chinese."""

from collections.abc import Mapping

PAGE_WORDS: Mapping[str, tuple[str, str]] = {
    "title": ("Published tables and ours: {model}", "已发布的表与本项目的对照：{model}"),
    "about": (
        "Written by `./doit tables`. An empty cell (–) has its reason below the table; a column without any figure "
        "is left out.",
        "由 `./doit tables` 生成。空格（–）的原因见表下；全空的列从略。",
    ),
    "left_out": ("Published rows that were not read", "未能读取的已发布数据"),
    "nothing_published": (
        "There are no published figures here: their columns are left out.",
        "此处没有已发布的数据，相应各列从略。",
    ),
    # Accuracy
    "accuracy": ("Accuracy by platform and pipeline", "各平台、各流程的精度"),
    "accuracy_note": (
        "AP of WIDER FACE's easy faces in percent, differences in points. Published figures are of another, larger "
        "set of pictures: compare the losses, not the figures themselves. Ours are of the arithmetic that the chip "
        "does, on pictures resized as OpenCV or as the chip's BMCV does it.",
        "WIDER FACE easy 子集的 AP（%），差值以百分点计。已发布数据用的是另一批更多的图片："
        "应比较精度损失，而非数值本身。"
        "本项目数据按芯片的算术得出，图片分别按 OpenCV 或芯片 BMCV 的方式缩放。",
    ),
    "platform": ("platform", "平台"),
    "program": ("program", "程序"),
    "artifact": ("artifact", "模型文件"),
    "published_easy": ("published", "已发布"),
    "published_to_fp32": ("published to fp32", "已发布：相对 fp32"),
    "our_easy": ("ours", "本项目"),
    "our_to_onnx": ("ours to ONNX", "本项目：相对 ONNX"),
    "other_platform": (
        "`{first}` ({count} in all): nothing of ours is for this platform, whose name is not a chip's.",
        "`{first}`（共 {count} 个）：该平台名不是芯片名，本项目没有对应结果。",
    ),
    "no_target": (
        "`{first}` ({count} in all): no target of the config makes it.",
        "`{first}`（共 {count} 个）：配置中没有对应的目标。",
    ),
    "not_evaluated": (
        "`{first}` ({count} in all): not evaluated yet, or no pictures with ground truth: `./doit eval`.",
        "`{first}`（共 {count} 个）：尚未评测，或没有带标注的图片：`./doit eval`。",
    ),
    "not_evaluated_bmcv": (
        "`{first}` ({count} in all): not evaluated with BMCV's resize yet: `./doit tables --measure accuracy`.",
        "`{first}`（共 {count} 个）：尚未按 BMCV 缩放评测：`./doit tables --measure accuracy`。",
    ),
    # bmrt
    "latency": ("Time on the chip (bmrt_test)", "芯片上的推理时间（bmrt_test）"),
    "latency_note": (
        "Milliseconds for one picture. Estimated: from the compiler's profile; nine in ten figures of networks "
        "left out of the fit lie in such an interval.",
        "单张图片的毫秒数。估计值由编译器的性能剖析得出；拟合时留出的网络中，十分之九落在区间之内。",
    ),
    "no_card": (
        "Nothing is measured on a card: this machine has none, or `./doit bench` has not run.",
        "没有实测数据：本机没有加速卡，或尚未运行 `./doit bench`。",
    ),
    "published_ms": ("published", "已发布"),
    "estimated_ms": ("estimated", "估计"),
    "nine_in_ten": ("nine in ten", "九成区间"),
    "measured_ms": ("measured on a card", "实测"),
    "because": (
        "`{first}` ({count} in all): no estimate: {why}.",
        "`{first}`（共 {count} 个）：没有估计值：{why}。",
    ),
    "not_built": ("`{first}` ({count} in all): not built yet.", "`{first}`（共 {count} 个）：尚未编译。"),
    # Programs
    "stages": ("Stages of the programs", "程序各阶段用时"),
    "stages_note": (
        "Milliseconds for one picture, and pictures in a second. Preprocessing and postprocessing are bmzoo's, on "
        "the processor of this machine, where OpenCV does it; with BMCV the chip does it, which nothing here can "
        "time.",
        "单张图片的毫秒数，以及每秒图片数。前处理与后处理为 bmzoo 在本机处理器上的用时（OpenCV 流程）；"
        "BMCV 流程由芯片完成，此处无法计时。",
    ),
    "not_timed": (
        "Nothing is timed on this machine yet: `./doit bench:onnx`.",
        "本机尚未计时：`./doit bench:onnx`。",
    ),
    "published_inference": ("published inference", "已发布：推理"),
    "published_rate": ("published per second", "已发布：每秒"),
    "our_preprocess": ("preprocessing", "前处理"),
    "our_estimate": ("estimated inference", "推理估计"),
    "our_inference": ("inference on a card", "推理实测"),
    "our_postprocess": ("postprocessing", "后处理"),
    # Scaling
    "scaling": ("Batches and sizes", "批量与尺寸"),
    "scaling_note": (
        "Estimated, size as height x width, milliseconds for one picture; a run is a whole batch (it/s). "
        "Thresholds and float layers are those of the config's own size.",
        "均为估计值；尺寸为 高x宽，毫秒数按单张图片计；一次运行为一整批（it/s）。"
        "阈值与浮点层沿用配置自身尺寸的结果。",
    ),
    "nothing_sized": (
        "Nothing is compiled for other sizes yet: `./doit tables --measure scaling`.",
        "尚未为其他尺寸编译：`./doit tables --measure scaling`。",
    ),
    "size": ("size", "尺寸"),
    "target": ("target", "目标"),
    "batch": ("batch", "批量"),
    "pictures_per_second": ("pictures/s", "图片/秒"),
    "runs_per_second": ("it/s", "it/s"),
}
