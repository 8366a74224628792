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
    """A column of the table view."""

    description: str | None = field(doc="What it shows.")
    format: str | None = field(doc="How the type is to be read, such as int32 or date-time.")
    json_path: str = field("", doc="Where the value stands, such as .spec.replicas.", required=True)
    name: str = field("", doc="Its heading.", required=True)
    priority: Int32 | None = field(doc="0 shows it always, more only with -o wide.")
    type: str = field("", doc="integer, number, string, boolean or date.", required=True)


class ServiceReference(Object):
    """A Service."""

    name: str = field("", doc="Its name.", required=True)
    namespace: str = field("", doc="Its namespace.", required=True)
    path: str | None = field(doc="The path to ask for.")
    port: Int32 | None = field(doc="The port. Default: 443.")


class WebhookClientConfig(Object):
    """How to reach a server. One of url and service is set."""

    ca_bundle: Base64 | None = field(doc="Certificates that vouch for it, as PEM in base64.")
    service: ServiceReference | None = field(doc="A Service of the cluster.")
    url: str | None = field(doc="Its URL; https only.")


class WebhookConversion(Object):
    """A server that converts objects."""

    client_config: WebhookClientConfig | None = field(doc="How to reach it.")
    conversion_review_versions: list[str] = field(
        doc="Versions of the question it understands.", default_factory=list, required=True, list_type="atomic"
    )


class CustomResourceConversion(Object):
    """How objects are turned from one version into another."""

    strategy: str = field("", doc="None: only apiVersion changes; Webhook: another server does it.", required=True)
    webhook: WebhookConversion | None = field(doc="The other server.")


class CustomResourceDefinitionNames(Object):
    """What a kind is called."""

    categories: list[str] = field(
        doc="Groups of resources it belongs to, such as all.", default_factory=list, list_type="atomic"
    )
    kind: str = field("", doc="The kind, in CamelCase.", required=True)
    list_kind: str | None = field(doc="The kind of its lists. Default: kind with List behind it.")
    plural: str = field("", doc="The plural name, as in URLs.", required=True)
    short_names: list[str] = field(doc="Abbreviations of the name.", default_factory=list, list_type="atomic")
    singular: str | None = field(doc="The singular name. Default: kind in small letters.")


class ExternalDocumentation(Object):
    """Where more is to be read."""

    description: str | None = field(doc="What is there.")
    url: str | None = field(doc="Where it is.")


class ValidationRule(Object):
    """A rule in CEL. Kept but not evaluated by this server yet."""

    field_path: str | None = field(doc="The field that an error names.")
    message: str | None = field(doc="What an error says.")
    message_expression: str | None = field(doc="The same, computed.")
    optional_old_self: bool | None = field(doc="Whether the rule also holds where there is no old value.")
    reason: str | None = field(doc="The error's reason.")
    rule: str = field("", doc="The expression; self is the value.", required=True)


class JSONSchemaProps(Object):
    """A part of a schema: OpenAPI v3, as far as schemas are structural."""

    ref: str | None = field(doc="Not allowed: a reference.", alias="$ref")
    schema_: str | None = field(doc="Not allowed: the dialect.", alias="$schema")
    additional_items: SchemaOrBool = field(doc="Not allowed: what further items look like.")
    additional_properties: SchemaOrBool = field(
        doc="What the values of a map look like; true for anything. Excludes properties."
    )
    all_of: list[JSONSchemaProps] = field(
        doc="Rules on values that must all hold.", default_factory=list, list_type="atomic"
    )
    any_of: list[JSONSchemaProps] = field(
        doc="Rules on values of which one must hold.", default_factory=list, list_type="atomic"
    )
    default: Literal = field(doc="The value of a field that is missing.")
    definitions: dict[str, JSONSchemaProps] = field(doc="Not allowed: parts to refer to.", default_factory=dict)
    dependencies: dict[str, SchemaOrNames] = field(doc="Not allowed: fields that need others.", default_factory=dict)
    description: str | None = field(doc="What it is.")
    enum: list[Literal] = field(doc="The values it may have.", default_factory=list, list_type="atomic")
    example: Literal = field(doc="An example.")
    exclusive_maximum: bool | None = field(doc="Whether maximum itself is too much.")
    exclusive_minimum: bool | None = field(doc="Whether minimum itself is too little.")
    external_docs: ExternalDocumentation | None = field(doc="Where more is to be read.")
    format: str | None = field(
        doc="A form of texts or numbers, such as date-time or int32; unknown ones are not checked."
    )
    id: str | None = field(doc="Not allowed: an identifier.")
    items: SchemaOrSchemas = field(doc="What a list's items look like.")
    max_items: Int64 | None = field(doc="The most items.")
    max_length: Int64 | None = field(doc="The most characters.")
    max_properties: Int64 | None = field(doc="The most fields.")
    maximum: Number | None = field(doc="The greatest number.")
    min_items: Int64 | None = field(doc="The fewest items.")
    min_length: Int64 | None = field(doc="The fewest characters.")
    min_properties: Int64 | None = field(doc="The fewest fields.")
    minimum: Number | None = field(doc="The least number.")
    multiple_of: Number | None = field(doc="What a number must be a multiple of.")
    not_: JSONSchemaProps | None = field(doc="A rule on values that must not hold.")
    nullable: bool | None = field(doc="Whether it may be null.")
    one_of: list[JSONSchemaProps] = field(
        doc="Rules on values of which exactly one must hold.", default_factory=list, list_type="atomic"
    )
    pattern: str | None = field(doc="A regular expression, in RE2's syntax, that must match somewhere in the text.")
    pattern_properties: dict[str, JSONSchemaProps] = field(doc="Not allowed: fields by pattern.", default_factory=dict)
    properties: dict[str, JSONSchemaProps] = field(doc="The fields of an object.", default_factory=dict)
    required: list[str] = field(doc="Fields that must be there.", default_factory=list, list_type="atomic")
    title: str | None = field(doc="A heading.")
    type: str | None = field(doc="object, array, string, integer, number or boolean.")
    unique_items: bool | None = field(doc="Not allowed: true. Use x-kubernetes-list-type set.")
    x_kubernetes_embedded_resource: bool | None = field(
        doc="It is an object of the API, with apiVersion, kind and metadata.", alias="x-kubernetes-embedded-resource"
    )
    x_kubernetes_int_or_string: bool | None = field(
        doc="It is an integer or a string.", alias="x-kubernetes-int-or-string"
    )
    x_kubernetes_list_map_keys: list[str] = field(
        doc="Fields that tell the items of a map apart.",
        default_factory=list,
        alias="x-kubernetes-list-map-keys",
        list_type="atomic",
    )
    x_kubernetes_list_type: str | None = field(
        doc="atomic: a list is replaced as a whole; set or map: its items are told apart and unique.",
        alias="x-kubernetes-list-type",
    )
    x_kubernetes_map_type: str | None = field(
        doc="granular: fields are owned one by one; atomic: all together.", alias="x-kubernetes-map-type"
    )
    x_kubernetes_preserve_unknown_fields: bool | None = field(
        doc="Unknown fields here are kept.", alias="x-kubernetes-preserve-unknown-fields"
    )
    x_kubernetes_validations: list[ValidationRule] = field(
        doc="Rules in CEL. Kept but not evaluated by this server yet.",
        default_factory=list,
        alias="x-kubernetes-validations",
        merge_key="rule",
        patch="merge",
        list_type="map",
        list_map_keys=("rule",),
    )


class CustomResourceValidation(Object):
    """What objects look like."""

    open_apiv3_schema: JSONSchemaProps | None = field(doc="The schema.", alias="openAPIV3Schema")


class SelectableField(Object):
    """A field that field selectors can ask for."""

    json_path: str = field("", doc="Where it stands, such as .spec.color.", required=True)


class CustomResourceSubresourceScale(Object):
    """Where the numbers of Scale stand."""

    label_selector_path: str | None = field(doc="Where the selector stands as text, below .spec or .status.")
    spec_replicas_path: str = field("", doc="Where the wanted number stands, below .spec.", required=True)
    status_replicas_path: str = field("", doc="Where the observed number stands, below .status.", required=True)


class CustomResourceSubresourceStatus(Object):
    """A path for status only. It has no settings."""


class CustomResourceSubresources(Object):
    """Paths below an object that change a part of it."""

    scale: CustomResourceSubresourceScale | None = field(doc="A window on the number of replicas.")
    status: CustomResourceSubresourceStatus | None = field(
        doc="A path for status only; then nothing else changes status."
    )


class CustomResourceDefinitionVersion(Object):
    """A version of a custom kind."""

    additional_printer_columns: list[CustomResourceColumnDefinition] = field(
        doc="Columns that kubectl get shows. Default: the age.", default_factory=list, list_type="atomic"
    )
    deprecated: bool | None = field(doc="Whether clients are warned of it.")
    deprecation_warning: str | None = field(doc="What they are told.")
    name: str = field("", doc="The version, such as v1 or v1beta1.", required=True)
    schema_: CustomResourceValidation | None = field(doc="What its objects look like.")
    selectable_fields: list[SelectableField] = field(
        doc="Fields that field selectors can ask for; at most 8.", default_factory=list, list_type="atomic"
    )
    served: bool = field(False, doc="Whether it is to be had.", required=True)
    storage: bool = field(False, doc="Whether objects are stored in it.", required=True)
    subresources: CustomResourceSubresources | None = field(doc="status and scale.")


class CustomResourceDefinitionSpec(Object):
    """What a custom kind is to be."""

    conversion: CustomResourceConversion | None = field(doc="How objects are turned from one version into another.")
    group: str = field("", doc="The API group; a domain with a dot.", required=True)
    names: CustomResourceDefinitionNames = field(
        doc="What the kind is called.", default_factory=lambda: CustomResourceDefinitionNames(), required=True
    )
    preserve_unknown_fields: bool | None = field(doc="No longer allowed: true.")
    scope: str = field("", doc="Namespaced or Cluster.", required=True)
    versions: list[CustomResourceDefinitionVersion] = field(
        doc="Its versions; exactly one is stored.", default_factory=list, required=True, list_type="atomic"
    )


class CustomResourceDefinitionCondition(Object):
    """One aspect of a custom kind's state."""

    last_transition_time: Time | None = field(doc="When the status last changed.")
    message: str | None = field(doc="Details for people.")
    observed_generation: Int64 | None = field(doc="The metadata.generation that the condition was set for.")
    reason: str | None = field(doc="Why the condition last changed, as one CamelCase word.")
    status: str = field("", doc="True, False or Unknown.", required=True)
    type: str = field("", doc="What the condition is about.", required=True)


class CustomResourceDefinitionStatus(Object):
    """What became of a custom kind."""

    accepted_names: CustomResourceDefinitionNames | None = field(doc="The names it was granted.")
    conditions: list[CustomResourceDefinitionCondition] = field(
        doc="Its state in single aspects: NamesAccepted, Established, Terminating.",
        default_factory=list,
        list_type="map",
        list_map_keys=("type",),
    )
    observed_generation: Int64 | None = field(doc="The metadata.generation that was acted on.")
    stored_versions: list[str] = field(
        doc="Versions in which objects may still be stored.", default_factory=list, list_type="atomic"
    )


class CustomResourceDefinition(KubeObject):
    """A kind of object that a user adds to the API."""

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
