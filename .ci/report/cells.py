"""Cells of two kinds that part, with names of kinds that are programs."""

import math

print("t,x,y,kind")
for k in range(4):
    for i in range(150):
        kind = "<script>window.ran=1</script>" if i % 2 else "<img src=x onerror=window.ran=1>"
        side = 1 if i % 2 else -1
        x = k + 0.4 * math.sin(0.37 * i * i)
        y = side * k + 0.4 * math.cos(0.73 * i * i)
        print(f"{k},{x},{y},{kind}")
