"""The demo's own clip: camera-like, high bitrate, 1080p, with two audio tracks.

A landscape of noise textures seen by an unsteady, panning camera, with lens fall-off and sensor
grain: detail, motion and noise in amounts an encoder meets in real footage. It carries what
phones write beside the picture: recording date, place, make and model.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg

_LAND = (
    "perlin=s=800x300:r=1:octaves=7:persistence=0.6:xscale=6:yscale=9"
    ":random_mode=seed:seed=7,trim=end_frame=1,format=gbrp,"
    "curves=r='0/0.05 0.45/0.22 0.62/0.55 1/0.98':g='0/0.09 0.45/0.30 0.62/0.50 1/0.95'"
    ":b='0/0.07 0.45/0.16 0.62/0.36 1/0.90',"
    "scale=2700:1010:flags=bicubic,format=yuv420p,loop=-1:1,setpts=N/30/TB,fps=30,"
    "crop=1920:720:x='390+300*sin(t*0.55)+4*sin(t*9)':y='140+30*sin(t*0.8)+3*cos(t*11)'"
)
_SKY = (
    "perlin=s=480x160:r=1:octaves=5:persistence=0.55:xscale=3:yscale=6"
    ":random_mode=seed:seed=23,trim=end_frame=1,format=gbrp,"
    "curves=r='0/0.25 0.5/0.45 0.75/0.85 1/1':g='0/0.42 0.5/0.58 0.75/0.88 1/1'"
    ":b='0/0.68 0.5/0.76 0.75/0.92 1/1',"
    "scale=2500:480:flags=bicubic,format=yuv420p,loop=-1:1,setpts=N/30/TB,fps=30,"
    "crop=1920:440:x='290+120*sin(t*0.55)+20*t':y='20+10*sin(t*0.8)'"
)
_CAMERA = (
    "vstack,crop=1920:1080:0:'40+6*sin(t*7)',setsar=1,gblur=sigma=0.6,vignette=PI/6,"
    "noise=c0s=5:c0f=t+u,format=yuv420p"
)
# A voice-like tone: pitch and loudness move in syllables.
_DIALOGUE = (
    "aevalsrc='0.3*(0.5+0.5*sin(2*PI*3.1*t))*(0.6+0.4*sin(2*PI*0.45*t))"
    "*(sin(2*PI*(140+25*sin(2*PI*0.9*t))*t)+0.5*sin(2*PI*560*t)+0.2*sin(2*PI*1900*t))/1.7'"
    ":s=48000:c=mono"
)
# A slow chord in stereo with a soft beat under it.
_MUSIC = (
    "aevalsrc='0.12*(sin(2*PI*220*t)+sin(2*PI*277.2*t)+sin(2*PI*329.6*t))"
    "+0.2*sin(2*PI*55*t)*exp(-6*mod(t,0.5))"
    "|0.12*(sin(2*PI*220.5*t)+sin(2*PI*276.8*t)+sin(2*PI*330*t))"
    "+0.2*sin(2*PI*55*t)*exp(-6*mod(t,0.5))':s=48000"
)


def generate(path: Path, duration_s: float = 10.0) -> None:
    """Write the clip to `path` (a `.mov`); the picture is the same in every run.

    Raises:
        subprocess.CalledProcessError: ffmpeg failed; its message is in `stderr`.
    """
    graph = f"{_LAND}[land];{_SKY}[sky];[sky][land]{_CAMERA}[v];{_DIALOGUE}[d];{_MUSIC}[m]"
    tags = {
        "creation_time": "2026-05-04T09:30:00Z",
        "location": "+48.1374+011.5755+519.0/",
        "make": "Slimreel",
        "model": "Demo camera",
    }
    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-y"]
    argv += ["-nostdin", "-filter_complex", graph, "-map", "[v]", "-map", "[d]", "-map", "[m]"]
    argv += ["-t", f"{duration_s}", "-r", "30"]
    argv += ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "14", "-c:a", "aac"]
    argv += ["-b:a:0", "128k", "-b:a:1", "256k"]
    argv += ["-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=eng"]
    argv += ["-metadata:s:a:0", "title=Dialogue", "-metadata:s:a:1", "title=Music and effects"]
    argv += ["-movflags", "+faststart"]
    for name, value in tags.items():
        argv += ["-metadata", f"{name}={value}"]
    subprocess.run([*argv, "file:" + str(path)], check=True, capture_output=True)
