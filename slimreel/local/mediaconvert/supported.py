"""Which valid job settings this stand-in carries out. Everything else is refused with a 501.

The tree names members as the wire does. A list stands for its items, "*" for any key of a map.
`DONE` is carried out; `NO_EFFECT` marks settings that steer the service's own encoder or are of no
consequence to a file: accepted, and without effect here; a tuple lists the only values done.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

DONE = "done"
NO_EFFECT = "no effect"

_METRICS = ("SSIM", "PSNR", "VMAF", "MS_SSIM", "PSNR_HVS", "QVBR")

_ENCODER: dict[str, Any] = {
    "rateControlMode": DONE,
    "qvbrSettings": {"*": DONE},
    "maxBitrate": DONE,
    "bitrate": DONE,
    "qualityTuningLevel": DONE,
    "gopSizeUnits": DONE,
    "gopSize": DONE,
    "minIInterval": DONE,
    "numberBFramesBetweenReferenceFrames": DONE,
    "numberReferenceFrames": DONE,
    "hrdBufferSize": DONE,
    "codecProfile": DONE,
    "codecLevel": DONE,
    "framerateControl": DONE,
    "framerateNumerator": DONE,
    "framerateDenominator": DONE,
    "framerateConversionAlgorithm": ("DUPLICATE_DROP",),
    "parControl": DONE,
    "parNumerator": DONE,
    "parDenominator": DONE,
    "interlaceMode": ("PROGRESSIVE",),
    "sceneChangeDetect": DONE,
    "writeMp4PackagingType": DONE,
    "perFrameMetrics": _METRICS,
    "slowPal": ("DISABLED",),
    "telecine": ("NONE",),
    "bandwidthReductionFilter": {"strength": ("OFF",), "sharpening": ("OFF",)},
    **dict.fromkeys(
        (
            "adaptiveQuantization", "spatialAdaptiveQuantization", "temporalAdaptiveQuantization",
            "flickerAdaptiveQuantization", "dynamicSubGop", "gopClosedCadence",
            "hrdBufferInitialFillPercentage", "hrdBufferFinalFillPercentage",
            "slidingWindowPeakBitrate", "slidingWindowMs", "softness", "unregisteredSeiTimecode",
            "endOfStreamMarkers", "explicitWeightedPrediction", "repeatPps", "fieldEncoding",
            "saliencyAwareEncoding", "syntax", "scanTypeConversionMode",
        ),
        NO_EFFECT,
    ),
}  # fmt: skip

_H264 = _ENCODER | {
    "gopBReference": DONE, "entropyEncoding": DONE, "slices": DONE, "adaptiveQuantization": DONE,
}  # fmt: skip
_H265 = _ENCODER | {
    "sampleAdaptiveOffsetFilterMode": DONE,
    **dict.fromkeys(
        (
            "gopBReference", "slices", "deblocking", "temporalIds", "treeBlockSize",
            "mvOverPictureBoundaries", "mvTemporalPredictor", "alternateTransferFunctionSei",
        ),
        NO_EFFECT,
    ),
    "tiles": ("DISABLED",),
}  # fmt: skip
_AV1 = _ENCODER | {
    "rateControlMode": ("QVBR",), "bitDepth": DONE, "filmGrainSynthesis": DONE,
    "slices": NO_EFFECT, "numberBFramesBetweenReferenceFrames": NO_EFFECT,
    "sceneChangeDetect": NO_EFFECT,
}  # fmt: skip

_VIDEO: dict[str, Any] = {
    "codecSettings": {
        "codec": ("H_264", "H_265", "AV1"),
        "h264Settings": _H264,
        "h265Settings": _H265,
        "av1Settings": _AV1,
    },
    "width": DONE,
    "height": DONE,
    "scalingBehavior": ("DEFAULT", "STRETCH_TO_OUTPUT", "FIT", "FIT_NO_UPSCALE", "FILL"),
    "colorMetadata": DONE,
    "antiAlias": NO_EFFECT,
    "sharpness": NO_EFFECT,
    "afdSignaling": ("NONE",),
    "respondToAfd": ("NONE",),
    "timecodeInsertion": ("DISABLED",),
    "timecodeTrack": ("DISABLED",),
    "dropFrameTimecode": NO_EFFECT,
    "chromaPositionMode": ("AUTO",),
    "videoPreprocessors": {
        "deinterlacer": {
            "mode": ("DEINTERLACE", "ADAPTIVE"),
            "control": DONE,
            "algorithm": NO_EFFECT,
        },
        "noiseReducer": {"filter": ("NONE",)},
        "colorCorrector": {
            "colorSpaceConversion": ("NONE", "FORCE_709"),
            "hdrToSdrToneMapper": NO_EFFECT,
            "sampleRangeConversion": ("NONE",),
        },
    },
}

_AUDIO: dict[str, Any] = {
    "audioSourceName": DONE,
    "audioType": NO_EFFECT,
    "audioTypeControl": NO_EFFECT,
    "languageCode": DONE,
    "customLanguageCode": DONE,
    "languageCodeControl": DONE,
    "streamName": DONE,
    "codecSettings": {
        "codec": ("AAC", "AC3", "EAC3", "PASSTHROUGH"),
        "aacSettings": {
            "codecProfile": ("LC",),
            "rawFormat": ("NONE",),
            "audioDescriptionBroadcasterMix": ("NORMAL",),
            "specification": NO_EFFECT,
            "*": DONE,
        },
        "ac3Settings": {"bitrate": DONE, "codingMode": DONE, "sampleRate": DONE, "*": NO_EFFECT},
        "eac3Settings": {
            "bitrate": DONE,
            "codingMode": DONE,
            "sampleRate": DONE,
            "passthroughControl": ("NO_PASSTHROUGH",),
            "*": NO_EFFECT,
        },
    },
}

_INPUT: dict[str, Any] = {
    "fileInput": DONE,
    "inputClippings": {"*": DONE},
    "timecodeSource": DONE,
    "timecodeStart": DONE,
    "audioSelectors": {
        "*": {
            "selectorType": ("TRACK", "LANGUAGE_CODE"),
            "tracks": DONE,
            "languageCode": DONE,
            "customLanguageCode": DONE,
            "defaultSelection": DONE,
            "offset": (0,),
            "programSelection": NO_EFFECT,
            # ffmpeg keeps presentation times, so there is no drift to correct.
            "audioDurationCorrection": ("DISABLED", "AUTO"),
        }
    },
    "videoSelector": {
        "rotate": DONE,
        # What the picture says itself goes first; only where it says nothing has this an effect.
        "colorSpace": ("FOLLOW", "HDR10"),
        "colorSpaceUsage": NO_EFFECT,
        "hdr10Metadata": {"*": DONE},
        "alphaBehavior": ("DISCARD",),
        "sampleRange": ("FOLLOW",),
        "padVideo": ("DISABLED",),
        "embeddedTimecodeOverride": ("NONE",),
        "selectorType": ("AUTO",),
    },
    "filterEnable": ("AUTO", "DISABLE"),
    "filterStrength": NO_EFFECT,
    "deblockFilter": ("DISABLED",),
    "denoiseFilter": ("DISABLED",),
    "psiControl": NO_EFFECT,
    "inputScanType": ("AUTO",),
    "advancedInputFilter": ("DISABLED",),
}

_JOB: dict[str, Any] = {
    "timecodeConfig": {"source": NO_EFFECT, "start": NO_EFFECT, "anchor": NO_EFFECT},
    "adAvailOffset": NO_EFFECT,
    "followSource": (1,),
    "inputs": _INPUT,
    "outputGroups": {
        "name": DONE,
        "customName": DONE,
        "outputGroupSettings": {
            "type": ("FILE_GROUP_SETTINGS",),
            "perFrameMetrics": _METRICS,
            "fileGroupSettings": {
                "destination": DONE,
                "destinationSettings": {
                    "s3Settings": {
                        "encryption": NO_EFFECT,
                        "accessControl": NO_EFFECT,
                        "storageClass": ("STANDARD",),
                    }
                },
            },
        },
        "outputs": {
            "nameModifier": DONE,
            "extension": DONE,
            "containerSettings": {
                "container": ("MP4", "MOV"),
                "mp4Settings": {
                    "moovPlacement": DONE,
                    "audioDuration": DONE,
                    "cslgAtom": NO_EFFECT,
                    "freeSpaceBox": NO_EFFECT,
                    "cttsVersion": NO_EFFECT,
                    "c2paManifest": ("EXCLUDE",),
                },
                "movSettings": {"reference": ("SELF_CONTAINED",), "*": NO_EFFECT},
            },
            "videoDescription": _VIDEO,
            "audioDescriptions": _AUDIO,
        },
    },
}

_REQUEST: dict[str, Any] = {
    "settings": _JOB,
    "accelerationSettings": {"mode": ("DISABLED", "PREFERRED")},
    "simulateReservedQueue": ("DISABLED",),
    **dict.fromkeys(
        (
            "role", "queue", "priority", "clientRequestToken", "userMetadata", "tags",
            "statusUpdateInterval",
        ),
        DONE,
    ),
    "billingTagsSource": NO_EFFECT,
}  # fmt: skip


def not_done(body: dict[str, Any]) -> list[str]:
    """JSON pointers (with the value where only the value is the trouble) nobody here carries out.

    The real service would accept them; pretending to do so would make a test pass on nothing.
    """
    found = list(_walk(_REQUEST, body, ""))
    inputs = body["settings"].get("inputs", [])
    if len(inputs) > 1:
        found.append("/settings/inputs: more than one input")
    for number, item in enumerate(inputs):
        if not str(item.get("fileInput", "")).startswith("s3://"):
            found.append(f"/settings/inputs/{number}/fileInput: HTTP inputs")
        selector = item.get("videoSelector") or {}
        forces = selector.get("colorSpaceUsage") != "FALLBACK"
        if selector.get("colorSpace", "FOLLOW") != "FOLLOW" and forces:
            found.append(f"/settings/inputs/{number}/videoSelector/colorSpaceUsage: FORCE")
        if len(item.get("inputClippings") or []) > 1 and _passes_sound(body["settings"]):
            found.append(f"/settings/inputs/{number}/inputClippings: clips of sound passed through")
    return found


def _passes_sound(settings: dict[str, Any]) -> bool:
    """Whether sound is to be copied, which cannot be strung together here."""
    return any(
        audio["codecSettings"].get("codec") == "PASSTHROUGH"
        or (audio["codecSettings"].get("aacSettings") or {}).get("passthroughControl")
        == "WHEN_POSSIBLE"
        for group in settings["outputGroups"]
        for output in group["outputs"]
        for audio in output.get("audioDescriptions") or ()
    )


def _walk(tree: Any, value: Any, pointer: str) -> Iterator[str]:
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _walk(tree, item, f"{pointer}/{number}")
    elif isinstance(tree, dict) and isinstance(value, dict):
        for name, item in value.items():
            if item is not None:
                branch = tree.get(name, tree.get("*"))
                yield from (
                    [f"{pointer}/{name}"]
                    if branch is None
                    else _walk(branch, item, f"{pointer}/{name}")
                )
    elif isinstance(tree, tuple) and value not in tree:
        yield f"{pointer}: {value}"
