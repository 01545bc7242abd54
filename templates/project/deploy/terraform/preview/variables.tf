# What `sabir deploy` gives. Yours go below `variables:` of the environment in config/deployment_config.yml.

variable "environment" {
  description = "Its name: preview."
  type        = string
}

variable "folder" {
  description = "Where releases, state, logs and the process's number are kept."
  type        = string
}

variable "release" {
  description = "The release's name: r4."
  type        = string
}

variable "bundle" {
  description = "Path of the bundle."
  type        = string
}

variable "bundle_hash" {
  description = "SHA-256 of the bundle's contents."
  type        = string
}

variable "engine" {
  description = "Path of the engine that serves this release."
  type        = string
}

variable "engine_hash" {
  description = "SHA-256 of that engine."
  type        = string
}

variable "secrets_file" {
  description = "Path of the file with this environment's secrets. Their values are read by the engine alone: none is in this module's state."
  type        = string
  default     = ""
}

variable "restart" {
  description = "New for each deployment: the name of the process that it starts."
  type        = string
}

variable "port" {
  description = "On 127.0.0.1. Where you give none, `sabir deploy` chooses a free one and keeps it."
  type        = number
}

variable "start_seconds" {
  description = "How long packages, builds and the engine's start may take."
  type        = number
  default     = 300
}
