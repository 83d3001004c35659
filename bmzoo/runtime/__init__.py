"""Running a network and making sense of what it gives: preprocessing, decoding, NMS, drawing; engines to run it
on.

Stands alone, with numpy and OpenCV, in syntax that Python 3.8 accepts, because it also runs on the board. Of the
rest of bmzoo it knows `errors` only.
"""
