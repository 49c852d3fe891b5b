"""What a signed file is worth (EN 319 102-1).

`validation.validate` is the door, `sandbox` the same for files of strangers. Behind it:

- read: `structure` (PDF), `validation_cades`, `validation_xades` with `xml_signature` and
  `xml_shape`, `validation_asic` with `container_parts`; what was given beside a signature:
  `originals`, `files_beside`, `document_digests`
- compare what came after a signature: `changes` with `object_graph`, `update`, `form_update`,
  `update_ledger`, `unsigned_end`; pictures of it for people: `revision_pages`
- compute: `signed_data` takes a CMS apart, `cms_shape` says what it may look like, `mathematics`
  verifies
- believe a time: `time_stamps`, `archive_index`, `archive_data`
- decide: `validation_pdf` for a PDF, `ades_verdict` for all else (`_judge` in both), with
  `acceptance`, `policy` and the chains of `signer.trust`
- say: `verdict` has the words, `report` the outcome, `examination` all of it for `signer.reports`

`strength` is for those who renew: until when a proof can be believed.
"""
