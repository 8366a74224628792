"""Kinds that users define."""

from __future__ import annotations

from typing import Annotated

from sampan.api.base import JSON, Base64, Int32, Int64, KubeObject, Named, Number, Object, Time, field
from sampan.api.meta_v1 import ObjectMeta

PACKAGE = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1"
Literal = Annotated[JSON, Named(f"{PACKAGE}.JSON")]
"""Any JSON value that stands in a schema."""
SchemaOrBool = Annotated[JSON, Named(f"{PACKAGE}.JSONSchemaPropsOrBool")]
SchemaOrSchemas = Annotated[JSON, Named(f"{PACKAGE}.JSONSchemaPropsOrArray")]
SchemaOrNames = Annotated[JSON, Named(f"{PACKAGE}.JSONSchemaPropsOrStringArray")]


class CustomResourceColumnDefinition(Object):
    """"""

    description: str | None = field()
    format: str | None = field()
    json_path: str = field("", required=True)
    name: str = field("", required=True)
    priority: Int32 | None = field()
    type: str = field("", required=True)


class ServiceReference(Object):
    """"""

    name: str = field("", required=True)
    namespace: str = field("", required=True)
    path: str | None = field()
    port: Int32 | None = field()


class WebhookClientConfig(Object):
    """"""

    ca_bundle: Base64 | None = field()
    service: ServiceReference | None = field()
    url: str | None = field()


class WebhookConversion(Object):
    """"""

    client_config: WebhookClientConfig | None = field()
    conversion_review_versions: list[str] = field(default_factory=list, required=True, list_type="atomic")


class CustomResourceConversion(Object):
    """"""

    strategy: str = field("", required=True)
    webhook: WebhookConversion | None = field()


class CustomResourceDefinitionNames(Object):
    """"""

    categories: list[str] = field(default_factory=list, list_type="atomic")
    kind: str = field("", required=True)
    list_kind: str | None = field()
    plural: str = field("", required=True)
    short_names: list[str] = field(default_factory=list, list_type="atomic")
    singular: str | None = field()


class ExternalDocumentation(Object):
    """"""

    description: str | None = field()
    url: str | None = field()


class ValidationRule(Object):
    """"""

    field_path: str | None = field()
    message: str | None = field()
    message_expression: str | None = field()
    optional_old_self: bool | None = field()
    reason: str | None = field()
    rule: str = field("", required=True)


class JSONSchemaProps(Object):
    """"""

    ref: str | None = field(alias="$ref")
    schema_: str | None = field(alias="$schema")
    additional_items: SchemaOrBool = field()
    additional_properties: SchemaOrBool = field()
    all_of: list[JSONSchemaProps] = field(default_factory=list, list_type="atomic")
    any_of: list[JSONSchemaProps] = field(default_factory=list, list_type="atomic")
    default: Literal = field()
    definitions: dict[str, JSONSchemaProps] = field(default_factory=dict)
    dependencies: dict[str, SchemaOrNames] = field(default_factory=dict)
    description: str | None = field()
    enum: list[Literal] = field(default_factory=list, list_type="atomic")
    example: Literal = field()
    exclusive_maximum: bool | None = field()
    exclusive_minimum: bool | None = field()
    external_docs: ExternalDocumentation | None = field()
    format: str | None = field()
    id: str | None = field()
    items: SchemaOrSchemas = field()
    max_items: Int64 | None = field()
    max_length: Int64 | None = field()
    max_properties: Int64 | None = field()
    maximum: Number | None = field()
    min_items: Int64 | None = field()
    min_length: Int64 | None = field()
    min_properties: Int64 | None = field()
    minimum: Number | None = field()
    multiple_of: Number | None = field()
    not_: JSONSchemaProps | None = field()
    nullable: bool | None = field()
    one_of: list[JSONSchemaProps] = field(default_factory=list, list_type="atomic")
    pattern: str | None = field()
    pattern_properties: dict[str, JSONSchemaProps] = field(default_factory=dict)
    properties: dict[str, JSONSchemaProps] = field(default_factory=dict)
    required: list[str] = field(default_factory=list, list_type="atomic")
    title: str | None = field()
    type: str | None = field()
    unique_items: bool | None = field()
    x_kubernetes_embedded_resource: bool | None = field(alias="x-kubernetes-embedded-resource")
    x_kubernetes_int_or_string: bool | None = field(alias="x-kubernetes-int-or-string")
    x_kubernetes_list_map_keys: list[str] = field(
        default_factory=list, alias="x-kubernetes-list-map-keys", list_type="atomic"
    )
    x_kubernetes_list_type: str | None = field(alias="x-kubernetes-list-type")
    x_kubernetes_map_type: str | None = field(alias="x-kubernetes-map-type")
    x_kubernetes_preserve_unknown_fields: bool | None = field(alias="x-kubernetes-preserve-unknown-fields")
    x_kubernetes_validations: list[ValidationRule] = field(
        default_factory=list,
        alias="x-kubernetes-validations",
        merge_key="rule",
        patch="merge",
        list_type="map",
        list_map_keys=("rule",),
    )


class CustomResourceValidation(Object):
    """"""

    open_apiv3_schema: JSONSchemaProps | None = field(alias="openAPIV3Schema")


class SelectableField(Object):
    """"""

    json_path: str = field("", required=True)


class CustomResourceSubresourceScale(Object):
    """"""

    label_selector_path: str | None = field()
    spec_replicas_path: str = field("", required=True)
    status_replicas_path: str = field("", required=True)


class CustomResourceSubresourceStatus(Object):
    """"""


class CustomResourceSubresources(Object):
    """"""

    scale: CustomResourceSubresourceScale | None = field()
    status: CustomResourceSubresourceStatus | None = field()


class CustomResourceDefinitionVersion(Object):
    """"""

    additional_printer_columns: list[CustomResourceColumnDefinition] = field(default_factory=list, list_type="atomic")
    deprecated: bool | None = field()
    deprecation_warning: str | None = field()
    name: str = field("", required=True)
    schema_: CustomResourceValidation | None = field()
    selectable_fields: list[SelectableField] = field(default_factory=list, list_type="atomic")
    served: bool = field(False, required=True)
    storage: bool = field(False, required=True)
    subresources: CustomResourceSubresources | None = field()


class CustomResourceDefinitionSpec(Object):
    """"""

    conversion: CustomResourceConversion | None = field()
    group: str = field("", required=True)
    names: CustomResourceDefinitionNames = field(default_factory=lambda: CustomResourceDefinitionNames(), required=True)
    preserve_unknown_fields: bool | None = field()
    scope: str = field("", required=True)
    versions: list[CustomResourceDefinitionVersion] = field(default_factory=list, required=True, list_type="atomic")


class CustomResourceDefinitionCondition(Object):
    """"""

    last_transition_time: Time | None = field(doc="When the status last changed.")
    message: str | None = field(doc="Details for people.")
    observed_generation: Int64 | None = field(doc="The metadata.generation that the condition was set for.")
    reason: str | None = field(doc="Why the condition last changed, as one CamelCase word.")
    status: str = field("", doc="True, False or Unknown.", required=True)
    type: str = field("", doc="What the condition is about.", required=True)


class CustomResourceDefinitionStatus(Object):
    """"""

    accepted_names: CustomResourceDefinitionNames | None = field()
    conditions: list[CustomResourceDefinitionCondition] = field(
        default_factory=list, list_type="map", list_map_keys=("type",)
    )
    observed_generation: Int64 | None = field()
    stored_versions: list[str] = field(default_factory=list, list_type="atomic")


class CustomResourceDefinition(KubeObject):
    """"""

    API_VERSION = "apiextensions.k8s.io/v1"
    KIND = "CustomResourceDefinition"
    api_version: str = field("apiextensions.k8s.io/v1", doc="Group and version of this representation of the object.")
    kind: str = field("CustomResourceDefinition", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    spec: CustomResourceDefinitionSpec = field(
        doc="What is wanted.", default_factory=lambda: CustomResourceDefinitionSpec(), required=True
    )
    status: CustomResourceDefinitionStatus = field(
        doc="What was last observed; written by the system.", default_factory=lambda: CustomResourceDefinitionStatus()
    )
