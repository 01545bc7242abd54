# What they are: ../variables.tf.

variable "app" {
  type = string
}

variable "environment" {
  type = string
}

variable "region" {
  type = string
}

variable "vpc_id" {
  type = string
}

variable "public_subnet_ids" {
  type = list(string)
}

variable "instance_subnet_id" {
  type = string
}

variable "certificate_arn" {
  type = string
}

variable "image_id" {
  type = string
}

variable "instance_type" {
  type = string
}

variable "allowed_cidrs" {
  type = list(string)
}

variable "log_days" {
  type = number
}

variable "protected" {
  type = bool
}

variable "volume_id" {
  type = string
}

variable "bucket" {
  type = string
}

variable "prefix" {
  type = string
}

variable "bundle_hash" {
  type = string
}

variable "engine_hash" {
  type = string
}

variable "packages" {
  type = list(string)
}

variable "secret_ids" {
  type = list(string)
}
