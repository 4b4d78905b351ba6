# People found in a video by OpenCV with two threads of its own: which of them finds a window first
# decides the order of the results, and with it how they are grouped.
import hashlib
import sys

import cv2

VIDEO = '/usr/share/doc/opencv-doc/examples/data/vtest.avi'
FRAMES = int(sys.argv[1]) if len(sys.argv) > 1 else 5

cv2.setNumThreads(2)
hog = cv2.HOGDescriptor()
hog.setSVMDetector(cv2.HOGDescriptor_getDefaultPeopleDetector())
video = cv2.VideoCapture(VIDEO)
for number in range(FRAMES):
    ok, frame = video.read()
    assert ok, VIDEO
    found, weights = hog.detectMultiScale(frame, winStride=(8, 8), scale=1.05, groupThreshold=0)
    text = ' '.join(f'{x},{y},{w},{h}:{weight:.6f}' for (x, y, w, h), weight
                    in zip(found, weights))
    print(number, len(found), hashlib.sha256(text.encode()).hexdigest()[:16], text[:60])
