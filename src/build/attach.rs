//! What is attached to an image: bills of materials.

use super::{BillFormat, BuildRequest};
use crate::Error;
use crate::blob::BlobStore;
use crate::image::{
    Annotations, Artifact, ArtifactFile, ArtifactSpec, Image, IndexEntry, canonical,
};
use crate::source::{Closure, sbom};

/// Makes and stores all that was asked for; their entries have no names, they are found by
/// the image that they are about.
pub(super) fn all(
    request: &BuildRequest,
    image: &Image,
    closure: &Closure,
    store: &dyn BlobStore,
) -> Result<Vec<IndexEntry>, Error> {
    let bills = request.bills.iter();
    bills
        .map(|format| bill(*format, request, image, closure, store))
        .collect()
}

fn bill(
    format: BillFormat,
    request: &BuildRequest,
    image: &Image,
    closure: &Closure,
    store: &dyn BlobStore,
) -> Result<IndexEntry, Error> {
    let name = request.names.first();
    let tag = request.outputs.iter().find_map(|output| output.tag.clone());
    let subject = sbom::Subject {
        name: name.map_or_else(|| "image".to_owned(), |name| name.repository.clone()),
        version: name.map(|name| name.tag.clone()).or(tag),
        digest: Some(image.manifest.descriptor.digest.to_string()),
        created: request.policy.epoch,
    };
    let (document, media_type, title) = match format {
        BillFormat::Spdx => (
            sbom::spdx(closure, &subject),
            sbom::SPDX_TYPE,
            "sbom.spdx.json",
        ),
        BillFormat::CycloneDx => (
            sbom::cyclonedx(closure, &subject),
            sbom::CYCLONEDX_TYPE,
            "sbom.cdx.json",
        ),
    };
    let mut writer = store.create()?;
    writer.write(&canonical(&document))?;
    let artifact = Artifact::new(&ArtifactSpec {
        artifact_type: media_type.to_owned(),
        files: vec![ArtifactFile {
            blob: writer.finish(media_type)?,
            title: Some(title.to_owned()),
            annotations: Annotations::new(),
        }],
        subject: Some(image.manifest.descriptor.clone()),
        ..ArtifactSpec::default()
    })?;
    artifact.write_to(store)?;
    Ok(artifact.entry(Annotations::new()))
}
