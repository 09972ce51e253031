"""DICOM and NIfTI files for tests, with a name planted in their tags that must not come out anywhere."""

from io import BytesIO

import numpy as np

PLANTED = "Plantedname^Zyx"
NUMBER = "IDQ77931"


def dicom(stored, *, name=PLANTED, **tags):
    """The bytes of a CT file, uncompressed, with these stored values (height, width), (frames, height, width) or (height, width, 3)."""
    import pydicom
    from pydicom.dataset import FileDataset, FileMetaDataset

    stored = np.asarray(stored)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = pydicom.uid.CTImageStorage, "1.2.3.4"
    file = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    file.PatientName, file.PatientID, file.PatientBirthDate, file.InstitutionName = name, NUMBER, "19700101", name
    file.SOPClassUID, file.SOPInstanceUID, file.SeriesInstanceUID, file.Modality = meta.MediaStorageSOPClassUID, "1.2.3.4", "1.2.3", "CT"
    colour = stored.ndim == 3 and stored.shape[-1] == 3
    file.Rows, file.Columns = stored.shape[:2] if colour else stored.shape[-2:]
    file.SamplesPerPixel, file.PhotometricInterpretation = (3, "RGB") if colour else (1, "MONOCHROME2")
    if colour:
        file.PlanarConfiguration = 0
    elif stored.ndim == 3:
        file.NumberOfFrames = len(stored)
    bits = stored.dtype.itemsize * 8
    file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = bits, bits, bits - 1, int(stored.dtype.kind == "i")
    for tag, value in tags.items():
        setattr(file, tag, value)
    file.PixelData = stored.tobytes()
    buffer = BytesIO()
    file.save_as(buffer)
    return buffer.getvalue()


def ct(hounsfield, **tags):
    """A CT slice of these Hounsfield units, stored with an intercept of -1024."""
    stored = (np.asarray(hounsfield) + 1024).astype(np.uint16)
    return dicom(stored, **{"RescaleSlope": 1, "RescaleIntercept": -1024, "WindowCenter": 40, "WindowWidth": 400, **tags})


def axial(number, *, step=2.0, spacing=(0.5, 0.5)):
    """Tags of an axial slice, `number` from the feet."""
    place = {"ImagePositionPatient": [-10.0, -20.0, 5.0 + step * number], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
    return {**place, "PixelSpacing": list(spacing), "SliceThickness": step}


def nifti(voxels, affine=None, **header):
    """The bytes of a NIfTI file of voxels (x, y, z); without an affine x runs to the right, y to the front and z to the head."""
    import nibabel

    image = nibabel.Nifti1Image(np.asarray(voxels), np.eye(4) if affine is None else affine)
    image.header["descrip"] = PLANTED.encode()
    for key, value in header.items():
        image.header[key] = value
    return image.to_bytes()
